//! Every aggregate: its examples, and that the split of rows over batches and workers does not show.

use super::*;
use crate::value::column::ColumnBuilder;
use crate::value::{Kind, Value, ValueRef, time};
use backsight_lang::ast::Unit;

/// A small deterministic generator (splitmix64).
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// One row of a test: time, argument, group.
#[derive(Clone)]
struct Row {
    time: Option<i64>,
    value: Value,
    group: u32,
}

fn shown(v: ValueRef<'_>) -> String {
    String::from_utf8_lossy(&v.text().unwrap_or_default()).into_owned()
}

/// The cells of a column of [`EXAMPLE_ROWS`].
fn example_column(field: &str) -> Column {
    EXAMPLE_ROWS
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
            match &row[field] {
                serde_json::Value::String(s) if field == "@timestamp" => {
                    Value::Time(time::parse(s.as_bytes()).expect("a time"))
                }
                serde_json::Value::String(s) => Value::string(s),
                serde_json::Value::Number(n) => Value::Text(Kind::Number, n.to_string().into_bytes().into()),
                serde_json::Value::Bool(b) => Value::Bool(*b),
                _ => Value::Null,
            }
        })
        .collect()
}

/// Reads `name(a, b)`, enough for the examples.
fn call(text: &str) -> (&'static Aggregate, Vec<&str>) {
    let (name, rest) = text.split_once('(').expect("a call");
    let args = rest.strip_suffix(')').expect("a call").split(", ").filter(|a| !a.is_empty() && *a != "*").collect();
    (find(name).expect(name), args)
}

#[test]
fn examples() {
    let times = example_column("@timestamp");
    let rows = times.len();
    for aggregate in aggregates() {
        assert!(!aggregate.examples.is_empty() && !aggregate.about.is_empty(), "{}", aggregate.name);
        for (text, expected) in aggregate.examples {
            let (found, args) = call(text);
            assert_eq!(found.name, aggregate.name);
            assert!(
                (aggregate.params.len() - aggregate.optional..=aggregate.params.len()).contains(&args.len()),
                "{text}"
            );
            let mut settings = Settings { star: args.is_empty(), ..Settings::default() };
            let mut columns = Vec::new();
            for (i, arg) in args.iter().enumerate() {
                if !aggregate.literal.contains(&i) {
                    columns.push(example_column(arg));
                } else if let Some(minutes) = arg.strip_suffix('m') {
                    settings.period = Some(Duration { count: minutes.parse().expect("a number"), unit: Unit::Minute });
                } else {
                    settings.number = Some(arg.parse().expect("a number"));
                }
            }
            let times = aggregate.needs_time.then_some(&times);
            let positions = Positions::sequence(0, rows);
            let words: Vec<Column> = columns.iter().map(Column::in_words).collect();
            for columns in [columns, words] {
                let mut accumulator = (aggregate.new)(&settings);
                accumulator.update(&Input { args: &columns, times, positions: &positions }, &vec![0; rows], 1);
                assert_eq!(shown(accumulator.finish(1).get(0)), *expected, "{text}");
            }
        }
    }
}

/// Values of all kinds; `wild`: also floats of all sizes, and enough texts to fill tables.
fn value(random: &mut Random, wild: bool) -> Value {
    let n = random.below(if wild { 40_000 } else { 12 });
    match random.below(16) {
        0 => Value::Null,
        1 => Value::Bool(n.is_multiple_of(2)),
        2 | 3 => Value::Int(n as i64 - 5),
        4 => Value::Text(Kind::Number, format!("{n}").into_bytes().into()),
        5 => Value::Text(Kind::Number, format!("{n}.0").into_bytes().into()),
        6 => Value::string(format!("{n}")),
        7 => Value::string(format!("0{n}")),
        8 => Value::string(format!("web{n}")),
        9 => Value::string(format!("{n:08x}-0000-4000-8000-00000000000{:x}", n % 16)),
        10 => Value::string(format!("a text that does not fit into a key, number {n}")),
        11 => Value::Float(n as f64 / 7.0),
        12 => Value::Time(n as i64 * 60_000),
        13 => Value::Text(Kind::List, format!("[{n}]").into_bytes().into()),
        14 if wild => Value::float(f64::from_bits(random.next())),
        14 => Value::Float(1e16 * (n as f64 - 6.0)),
        _ => Value::string(format!("{}{n:022}", if n.is_multiple_of(2) { "-9" } else { "9" })),
    }
}

/// Feeds rows to one accumulator in batches; `numbers` has each group's number, in the accumulator, by group.
fn feed(aggregate: &Aggregate, settings: &Settings, batches: &[Vec<(u64, Row)>]) -> (Box<dyn Accumulator>, Vec<u32>) {
    let mut accumulator = (aggregate.new)(settings);
    let mut known: Vec<u32> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let mut groups = Vec::new();
        let (mut values, mut times) = (ColumnBuilder::default(), ColumnBuilder::default());
        for (_, row) in batch {
            let number = known.iter().position(|g| *g == row.group).unwrap_or_else(|| {
                known.push(row.group);
                known.len() - 1
            });
            groups.push(number as u32);
            values.push(row.value.as_ref());
            times.push(row.time.map_or(ValueRef::Null, ValueRef::Time));
        }
        let positions =
            Positions::Near { base: 1000, offsets: batch.iter().map(|(position, _)| *position as u32).collect() };
        let (values, times) = (values.finish(), times.finish());
        // Texts come as they are, or as words of a dictionary.
        let args = [if number % 2 == 0 { values.in_words() } else { values }];
        let args = if settings.star { &[][..] } else { &args[..] };
        accumulator.update(&Input { args, times: Some(&times), positions: &positions }, &groups, known.len());
    }
    (accumulator, known)
}

/// Kind and text of every group's result, rows in one batch of one worker.
fn at_once(aggregate: &Aggregate, settings: &Settings, rows: &[Row], n_groups: u32) -> Vec<(Option<Kind>, String)> {
    let batch: Vec<(u64, Row)> = (0..).zip(rows.iter().cloned()).collect();
    results(vec![feed(aggregate, settings, &[batch])], n_groups)
}

/// The same over workers that see random pieces, merged in random order.
fn in_pieces(
    aggregate: &Aggregate,
    settings: &Settings,
    rows: &[Row],
    n_groups: u32,
    random: &mut Random,
) -> Vec<(Option<Kind>, String)> {
    let mut workers: Vec<Vec<Vec<(u64, Row)>>> = vec![Vec::new(); 1 + random.below(4) as usize];
    let mut numbered = (0..).zip(rows.iter().cloned()).peekable();
    while numbered.peek().is_some() {
        let size = 1 + random.below(if rows.len() > 1000 { 3000 } else { 40 }) as usize;
        let worker = random.below(workers.len() as u64) as usize;
        workers[worker].push(numbered.by_ref().take(size).collect());
    }
    for i in (1..workers.len()).rev() {
        workers.swap(i, random.below(i as u64 + 1) as usize);
    }
    results(workers.iter().map(|batches| feed(aggregate, settings, batches)).collect(), n_groups)
}

fn results(workers: Vec<(Box<dyn Accumulator>, Vec<u32>)>, n_groups: u32) -> Vec<(Option<Kind>, String)> {
    let mut workers = workers.into_iter();
    let (mut all, mut known) = workers.next().expect("at least one worker");
    let others: Vec<(Box<dyn Accumulator>, Vec<u32>)> = workers
        .map(|(accumulator, groups)| {
            let map = groups
                .iter()
                .map(|group| {
                    known.iter().position(|g| g == group).unwrap_or_else(|| {
                        known.push(*group);
                        known.len() - 1
                    }) as u32
                })
                .collect();
            (accumulator, map)
        })
        .collect();
    if !others.is_empty() {
        all.merge(others, known.len());
    }
    assert!(all.bytes() > 0 || known.is_empty());
    // A group that no row has been seen of, as `stats` without `by` over no rows has.
    known.extend((0..n_groups).filter(|g| !known.contains(g)).collect::<Vec<_>>());
    let column = all.finish(known.len());
    assert_eq!(column.len(), known.len());
    let mut cells: Vec<(u32, (Option<Kind>, String))> =
        known.iter().zip(column.iter()).map(|(group, cell)| (*group, (cell.kind(), shown(cell)))).collect();
    cells.sort_by_key(|(group, _)| *group);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn settings(aggregate: &Aggregate, random: &mut Random) -> Settings {
    Settings {
        number: Some(random.below(101) as f64),
        period: Some(Duration { count: 1 + random.below(9), unit: Unit::Minute }),
        star: aggregate.star && random.below(2) == 0,
    }
}

fn rows(random: &mut Random, n: u64, n_groups: u32, wild: bool) -> Vec<Row> {
    (0..n)
        .map(|_| Row {
            time: (random.below(5) > 0).then(|| random.below(40) as i64 * 1000),
            value: value(random, wild),
            group: random.below(n_groups.into()) as u32,
        })
        .collect()
}

#[test]
fn small_splits_do_not_show() {
    let mut random = Random(42);
    for aggregate in aggregates() {
        for round in 0..60 {
            let n_groups = 1 + round % 5;
            let settings = settings(aggregate, &mut random);
            let n = random.below(200);
            let rows = rows(&mut random, n, n_groups, round % 3 == 0);
            let expected = at_once(aggregate, &settings, &rows, n_groups);
            let found = in_pieces(aggregate, &settings, &rows, n_groups, &mut random);
            assert_eq!(found, expected, "{} round {round}", aggregate.name);
        }
    }
}

#[test]
fn large_splits_do_not_show() {
    let mut random = Random(43);
    for aggregate in aggregates() {
        for n_groups in [1, 3] {
            let settings = settings(aggregate, &mut random);
            let rows = rows(&mut random, 30_000, n_groups, true);
            let expected = at_once(aggregate, &settings, &rows, n_groups);
            let found = in_pieces(aggregate, &settings, &rows, n_groups, &mut random);
            assert!(found == expected, "{} {n_groups}", aggregate.name);
        }
    }
}

/// What the reference defines, computed the plain way over the rows of one group.
fn plain(name: &str, settings: &Settings, rows: &[Row]) -> Option<String> {
    use crate::value::compare::total;
    let present: Vec<ValueRef<'_>> = rows.iter().map(|r| r.value.as_ref()).filter(|v| !v.is_null()).collect();
    let mut numbers: Vec<ValueRef<'_>> = present.iter().copied().filter(|v| v.number().is_some()).collect();
    numbers.sort_by(|a, b| total(*a, *b));
    let mut sorted = present.clone();
    sorted.sort_by(|a, b| total(*a, *b));
    let timed =
        || rows.iter().filter(|r| !r.value.as_ref().is_null()).filter_map(|r| Some((r.time?, r.value.as_ref())));
    let distinct: std::collections::BTreeSet<String> = present.iter().map(|v| shown(*v)).collect();
    let text = |v: Option<&ValueRef<'_>>| v.map_or(String::new(), |v| shown(*v));
    Some(match name {
        "count" if settings.star => rows.len().to_string(),
        "count" => present.len().to_string(),
        "count_distinct" => distinct.len().to_string(),
        "min" => text(numbers.first().or(sorted.first())),
        "max" => text(numbers.last().or(sorted.last())),
        "sortsFirst" => text(sorted.first()),
        "sortsLast" => text(sorted.last()),
        "pct" => {
            // Whole percentiles here.
            let rank = (settings.number? as usize * numbers.len()).div_ceil(100).max(1);
            text(numbers.get(rank - 1))
        }
        "earliest" => {
            text(timed().map(|t| t.0).min().and_then(|least| timed().find(|t| t.0 == least)).map(|t| t.1).as_ref())
        }
        "latest" => {
            text(timed().map(|t| t.0).max().and_then(|most| timed().rfind(|t| t.0 == most)).map(|t| t.1).as_ref())
        }
        "values" => {
            let mut texts: Vec<String> = distinct.into_iter().collect();
            texts.sort_by(|a, b| total(ValueRef::string(a), ValueRef::string(b)));
            texts.truncate(settings.number? as usize);
            serde_json::to_string(&texts).expect("strings")
        }
        _ => return None,
    })
}

#[test]
fn the_plain_way_gives_the_same() {
    let mut random = Random(44);
    let mut compared = 0;
    for aggregate in aggregates() {
        for round in 0..40 {
            let settings = settings(aggregate, &mut random);
            let n = random.below(100);
            let rows = rows(&mut random, n, 1, round % 2 == 0);
            let Some(expected) = plain(aggregate.name, &settings, &rows) else { continue };
            let found = at_once(aggregate, &settings, &rows, 1);
            assert_eq!(found[0].1, expected, "{}", aggregate.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 10 * 40);
}

#[test]
fn numbers_at_the_edges() {
    let int = Value::Int;
    let number = |text: &str| Value::Text(Kind::Number, text.as_bytes().into());
    let string = |text: &str| Value::string(text);
    let cases: &[(&str, &[Value], &str)] = &[
        ("sum", &[int(i64::MAX), int(1)], "9223372036854776000"),
        ("sum", &[int(i64::MAX), int(1), int(-1)], "9223372036854775807"),
        ("sum", &[string("99999999999999999999"), string("-99999999999999999990")], "9"),
        ("sum", &[string("99999999999999999999"), number("1.5"), string("-99999999999999999999")], "1.5"),
        ("sum", &[number("0.1"), number("0.2"), number("0.3")], "0.6"),
        ("sum", &[number("1e308"), number("1e308")], ""),
        ("sum", &[number("1e308"), number("1e308"), number("-1e308")], "1e+308"),
        ("sum", &[number("1e400")], ""),
        ("sum", &[int(1), number("2.0")], "3"),
        ("sum", &[string("abc"), Value::Null], ""),
        ("sum", &[Value::Bool(true), string("true")], "1"),
        ("avg", &[int(9007199254740993)], "9007199254740993"),
        ("avg", &[int(i64::MAX), int(i64::MAX)], "9223372036854775807"),
        ("avg", &[int(i64::MAX), int(i64::MAX - 1)], "9223372036854776000"),
        ("avg", &[int(1), int(2)], "1.5"),
        ("avg", &[number("1e308"), number("1e308")], "1e+308"),
        ("avg", &[string("36893488147419103232"), int(0)], "18446744073709552000"),
        ("avg", &[string("18446744073709551616"), int(0), int(0), int(0)], "4611686018427387904"),
        ("variance", &[int(i64::MAX), int(i64::MIN)], "8.507059173023462e+37"),
        ("variance", &[int(i64::MAX), int(i64::MAX), int(i64::MAX)], "0"),
        ("variance", &[number("1e16"), number("10000000000000002.0")], "1"),
        ("variance", &[number("1e200"), number("-1e200")], ""),
        ("variance", &[int(1_000_000_001), int(1_000_000_002), int(1_000_000_003)], "0.6666666666666666"),
        ("stddev", &[int(7)], "0"),
        ("max", &[number("2"), number("2.0"), string("02")], "2.0"),
        ("min", &[number("2"), number("2.0"), string("02")], "02"),
        ("min", &[string("-"), string("n/a")], "-"),
        ("min", &[string("-"), string("3")], "3"),
        ("min", &[Value::Bool(true), int(5)], "5"),
        ("max", &[string("18446744073709551616"), int(i64::MAX), number("1e19")], "18446744073709551616"),
        ("median", &[string("18446744073709551616"), int(i64::MAX), number("1e30")], "18446744073709551616"),
        ("median", &[Value::Time(0), Value::Time(60_000)], "1970-01-01 00:00:00.000"),
        ("values", &[string("a\"b\\\n\u{1}é"), int(1), string("1")], r#"["a\"b\\\n\u0001é","1"]"#),
        ("count_distinct", &[string("404"), int(404), number("404"), number("404.0"), Value::Float(404.0)], "2"),
    ];
    for (name, values, expected) in cases {
        let aggregate = find(name).expect(name);
        let rows: Vec<Row> = values.iter().map(|v| Row { time: None, value: v.clone(), group: 0 }).collect();
        for rows in [rows.clone(), rows.into_iter().rev().collect()] {
            let found = at_once(aggregate, &Settings::default(), &rows, 1);
            assert_eq!(found[0].1, *expected, "{name} {values:?}");
        }
    }
}

#[test]
fn rows_of_one_record_keep_their_order() {
    // `unnest` makes several rows of one: same time, same position.
    let positions = Positions::Near { base: 0, offsets: [7, 7, 7].into() };
    let column: Column = ["a", "b", "c"].map(Value::string).into_iter().collect();
    let times = Column::Const(Value::Time(1), 3);
    for (name, expected) in [("earliest", "a"), ("latest", "c")] {
        let mut accumulator = (find(name).expect(name).new)(&Settings::default());
        accumulator.update(
            &Input { args: std::slice::from_ref(&column), times: Some(&times), positions: &positions },
            &[0, 0, 0],
            1,
        );
        assert_eq!(shown(accumulator.finish(1).get(0)), expected);
    }
}

#[test]
fn names_and_aliases_are_unique() {
    let mut names: Vec<String> =
        aggregates().flat_map(|a| a.aliases.iter().chain([&a.name])).map(|n| n.to_ascii_lowercase()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(find("COUNTDISTINCT").is_some_and(|a| a.name == "count_distinct"));
}
