//! Functions that encode, decode and hash text. Decoding gives bytes as they come; what is not UTF-8 stays as it is
//! unless said otherwise.

use super::{Args, Eval, Function, ROW, Status, Type};
use crate::value::column::Column;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::Sha256;
use std::borrow::Cow;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "urlencode",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` percent-encoded: letters, digits and `-._~` are kept, every other byte becomes `%XX`.",
        examples: &[(r#"urlencode("a b/c")"#, "a%20b%2Fc")],
        eval: Eval::Values(|args| {
            bytes(args, |s, out| {
                percent_encode(s, RESERVED).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
                Some(())
            })
        }),
        ..ROW
    },
    Function {
        name: "urldecode",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` percent-decoded once; `+` and broken `%` are left alone, bytes that are not UTF-8 become U+FFFD.",
        examples: &[(r#"urldecode("%2e%2e%2f")"#, "../"), (r#"urldecode("%252e")"#, "%2e")],
        eval: Eval::Values(|args| {
            bytes(args, |s, out| {
                out.extend_from_slice(percent_decode(s).decode_utf8_lossy().as_bytes());
                Some(())
            })
        }),
        ..ROW
    },
    Function {
        name: "norm",
        aliases: &["normalizePath"],
        params: &[("s", Type::Text)],
        result: Type::Text,
        status: Status::Extension,
        about: "A path or query as an attack on it would be read: percent-decoded up to three times, then `+` as a space, \
                `/./` and runs of `/` as `/` (`://` is kept), lower case; `..` stays. Broken `%` is left alone, bytes that \
                are not UTF-8 become U+FFFD.",
        examples: &[
            (r#"norm("/A//%252e%252E/./B+C")"#, "/a/../b c"),
            (r#"norm("/x?u=HTTP%3A//E%00")"#, "/x?u=http://e\0"),
        ],
        eval: Eval::Values(|args| {
            bytes(args, |s, out| {
                normalize_path(s, out);
                Some(())
            })
        }),
        ..ROW
    },
    Function {
        name: "base64encode",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` in base64, standard alphabet, padded.",
        examples: &[(r#"base64encode("admin:pw")"#, "YWRtaW46cHc=")],
        eval: Eval::Values(|args| {
            bytes(args, |s, out| {
                out.extend_from_slice(BASE64.encode(s).as_bytes());
                Some(())
            })
        }),
        ..ROW
    },
    Function {
        name: "base64decode",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "`s` decoded from base64, standard or url-safe, padded or not; null where it is not base64.",
        examples: &[(r#"base64decode("YWRtaW46cHc=")"#, "admin:pw"), (r#"base64decode("a")"#, "")],
        eval: Eval::Values(|args| bytes(args, base64_decode)),
        ..ROW
    },
    Function {
        name: "hexToAscii",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "The text whose bytes `s` lists as pairs of hexadecimal digits; null where it is not hexadecimal.",
        examples: &[(r#"hexToAscii("48656c6c6f")"#, "Hello"), (r#"hexToAscii("4")"#, "")],
        eval: Eval::Values(|args| {
            bytes(args, |s, out| {
                out.resize(s.len() / 2, 0);
                hex::decode_to_slice(s, out).ok()
            })
        }),
        ..ROW
    },
    Function {
        name: "md5",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "The MD5 digest of the bytes of `s`, in lower-case hexadecimal.",
        examples: &[(r#"md5("abc")"#, "900150983cd24fb0d6963f7d28e17f72")],
        eval: Eval::Values(|args| bytes(args, |s, out| hexadecimal(&Md5::digest(s), out))),
        ..ROW
    },
    Function {
        name: "sha256",
        params: &[("s", Type::Text)],
        result: Type::Text,
        about: "The SHA-256 digest of the bytes of `s`, in lower-case hexadecimal.",
        examples: &[(r#"sha256("")"#, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
        eval: Eval::Values(|args| bytes(args, |s, out| hexadecimal(&Sha256::digest(s), out))),
        ..ROW
    },
];

/// A column of strings made of the bytes of the one argument.
fn bytes(args: &Args<'_>, f: fn(&[u8], &mut Vec<u8>) -> Option<()>) -> Column {
    args.strings(|row, out| f(&args.bytes(0, row)?, out))
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Padding may be missing, and unused bits may be set: what a token holds matters more than how neatly it was made.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn base64_decode(s: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let standard = |c: &u8| match c {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    BASE64.decode_vec(s.iter().map(standard).collect::<Vec<u8>>(), out).ok()
}

fn hexadecimal(digest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.resize(digest.len() * 2, 0);
    hex::encode_to_slice(digest, out).ok()
}

/// Rounds of percent-decoding: attackers encode twice to pass a proxy that decodes once, rarely deeper.
const ROUNDS: usize = 3;

fn normalize_path(s: &[u8], out: &mut Vec<u8>) {
    let mut text = Cow::Borrowed(s);
    for _ in 0..ROUNDS {
        match Cow::from(percent_decode(&text)) {
            Cow::Borrowed(_) => break,
            Cow::Owned(decoded) => text = Cow::Owned(decoded),
        }
    }
    for c in text.iter() {
        match c {
            b'+' => out.push(b' '),
            b'/' if out.ends_with(b"/.") => {
                out.pop();
            }
            // Patterns look for `scheme://` in parameters.
            b'/' if out.ends_with(b"/") && !out.ends_with(b":/") => {}
            c => out.push(*c),
        }
    }
    if out.is_ascii() {
        out.make_ascii_lowercase();
    } else {
        *out = String::from_utf8_lossy(out).to_lowercase().into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use crate::func::tests::check;

    #[test]
    fn percent_encoding() {
        check(&[
            ("urlencode(\"a-._~Z9é\")", "a-._~Z9%C3%A9"),
            ("urlencode(latin)", "caf%E9"),
            ("urlencode(\"\")", "\"\""),
            ("urlencode(404)", "404"),
            ("urlencode(missing)", ""),
            ("urlencode(l)", ""),
            ("urldecode(\"%252e+x%zz%\")", "%2e+x%zz%"),
            ("urldecode(\"%C3%A9%E9\")", "é\u{fffd}"),
            ("urldecode(missing)", ""),
        ]);
    }

    #[test]
    fn paths() {
        check(&[
            ("norm(\"/a/././b///c/.\")", "/a/b/c/."),
            ("norm(\"/x?u=HTTP://E//y\")", "/x?u=http://e/y"),
            ("norm(\"/.//./etc/./passwd\")", "/etc/passwd"),
            ("norm(\"%25252e%2525252e\")", ".%2e"),
            ("norm(\"a%2bb\")", "a b"),
            ("norm(\"/%C3%89%FF\")", "/é\u{fffd}"),
            ("norm(\"50%\")", "50%"),
            ("norm(\"..//..\\\\\")", "../..\\"),
            ("norm(missing)", ""),
        ]);
    }

    #[test]
    fn base64() {
        check(&[
            ("base64encode(\"\")", "\"\""),
            ("base64encode(latin)", "Y2Fm6Q=="),
            ("base64encode(missing)", ""),
            ("base64decode(\"YWRtaW46cHc\")", "admin:pw"),
            ("base64decode(\"_-8\")", "\u{fffd}\u{fffd}"),
            ("base64decode(\"/+8=\")", "\u{fffd}\u{fffd}"),
            ("base64decode(\"YX==\")", "a"),
            ("base64decode(\"YQ=\")", "a"),
            ("base64decode(\"YQ=a\")", ""),
            ("base64decode(\"Y W E=\")", ""),
            ("base64decode(\"Y\")", ""),
            ("base64decode(\"\")", "\"\""),
            ("base64decode(missing)", ""),
            ("base64decode(m)", ""),
        ]);
    }

    #[test]
    fn hexadecimal_and_digests() {
        check(&[
            ("hexToAscii(\"C3a9\")", "é"),
            ("hexToAscii(\"\")", "\"\""),
            ("hexToAscii(\"0x41\")", ""),
            ("hexToAscii(\"zz\")", ""),
            ("hexToAscii(41)", "A"),
            ("hexToAscii(missing)", ""),
            ("md5(latin)", "961f50f6282239d09e48f812c1ca7276"),
            ("md5(404)", "4f4adcbf8c6f66dcfc8a3282ac2bf10a"),
            ("md5(missing)", ""),
            ("sha256(\"abc\")", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("sha256(l)", ""),
        ]);
    }
}
