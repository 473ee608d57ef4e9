//! What is found within tokens of several layouts.

use super::{Find, Part};

/// The address of `address:port`; an address in brackets without them.
pub(crate) fn host(text: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memrchr(b':', text)?;
    let host = &text[..colon];
    Some(host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host))
}

/// The port of `address:port`.
pub(crate) fn port(text: &[u8]) -> Option<&[u8]> {
    let port = &text[memchr::memrchr(b':', text)? + 1..];
    (!port.is_empty() && port.iter().all(u8::is_ascii_digit)).then_some(port)
}

/// The method of `GET /path HTTP/1.1`.
pub(crate) fn method(request: &[u8]) -> Option<&[u8]> {
    let method = &request[..memchr::memchr(b' ', request)?];
    (!method.is_empty()).then_some(method)
}

/// What stands between method and protocol; it may hold spaces.
pub(crate) fn url(request: &[u8]) -> Option<&[u8]> {
    let rest = &request[memchr::memchr(b' ', request)? + 1..];
    Some(match memchr::memrchr(b' ', rest) {
        Some(end) if protocol(request).is_some() || end + 1 == rest.len() => &rest[..end],
        _ => rest,
    })
}

/// The protocol: the last word, if it looks like one.
pub(crate) fn protocol(request: &[u8]) -> Option<&[u8]> {
    let last = &request[memchr::memrchr(b' ', request)? + 1..];
    (last.starts_with(b"HTTP/") || last.starts_with(b"RTSP/") || last == b"-").then_some(last)
}

/// The path of the URL: without scheme, host and query.
pub(crate) fn path(request: &[u8]) -> Option<&[u8]> {
    let url = url(request)?;
    let url = &url[..memchr::memchr(b'?', url).unwrap_or(url.len())];
    let Some(scheme) = memchr::memmem::find(url, b"://").filter(|n| url[..*n].iter().all(u8::is_ascii_alphabetic))
    else {
        return Some(url);
    };
    let rest = &url[scheme + 3..];
    Some(&rest[memchr::memchr(b'/', rest).unwrap_or(rest.len())..])
}

/// The query of the URL.
pub(crate) fn query(request: &[u8]) -> Option<&[u8]> {
    let url = url(request)?;
    Some(&url[memchr::memchr(b'?', url)? + 1..])
}

/// A part of a token.
pub(crate) const fn part(name: &'static str, of: usize, find: fn(&[u8]) -> Option<&[u8]>) -> Part {
    Part { name, of: Some(of), find: Find::Stretch(find) }
}

/// A part of the line.
pub(crate) const fn of_line(name: &'static str, find: fn(&[u8]) -> Option<&[u8]>) -> Part {
    Part { name, of: None, find: Find::Stretch(find) }
}

/// Token `n` of a line of tokens with spaces between them, for a look at what a line is.
pub(crate) fn word(line: &[u8], n: usize) -> Option<&[u8]> {
    line.split(|b| *b == b' ').filter(|w| !w.is_empty()).nth(n)
}

/// True for `2024-05-01T…`
pub(crate) fn starts_with_date(text: &[u8]) -> bool {
    text.get(..11).is_some_and(|t| {
        t.iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            10 => *b == b'T',
            _ => b.is_ascii_digit(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let text = |found: Option<&[u8]>| found.map(|f| String::from_utf8_lossy(f).into_owned());
        let all = |request: &str| {
            [method, url, path, query, protocol].map(|f| text(f(request.as_bytes())).unwrap_or_else(|| "∅".into()))
        };
        assert_eq!(all("GET /a/b?c=d HTTP/1.1"), ["GET", "/a/b?c=d", "/a/b", "c=d", "HTTP/1.1"]);
        assert_eq!(all("GET http://h:80/a b?c HTTP/2.0"), ["GET", "http://h:80/a b?c", "/a b", "c", "HTTP/2.0"]);
        assert_eq!(all("GET https://h HTTP/1.1"), ["GET", "https://h", "", "∅", "HTTP/1.1"]);
        assert_eq!(all("GET /a"), ["GET", "/a", "/a", "∅", "∅"]);
        assert_eq!(all("- http://h:80-/ "), ["-", "http://h:80-/", "/", "∅", "∅"]);
        assert_eq!(all("-"), ["∅", "∅", "∅", "∅", "∅"]);
        assert_eq!(text(host(b"[2001:db8::1]:443")), Some("2001:db8::1".into()));
        assert_eq!(text(host(b"10.0.0.1:80")), Some("10.0.0.1".into()));
        assert_eq!((text(port(b"10.0.0.1:80")), text(port(b"-")), text(host(b"-"))), (Some("80".into()), None, None));
    }
}
