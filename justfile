# The few commands of the project; `just` alone lists them.

_list:
    @just --list

# all that CI does, in order
check:
    bash .ci/run

# the test suite
test:
    cargo test --workspace

# rewrite the expected output of tests/cases/**/*.test; read the diff
bless:
    BLESS=1 cargo test --test cases

# side by side with the peers; see benches/README.md
bench *ARGS:
    python3 benches/end_to_end.py {{ARGS}}
