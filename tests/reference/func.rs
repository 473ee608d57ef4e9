//! Functions, by lower-case name.

use super::compare::numbers;
use super::expr::Env;
use super::value::{DAY, N, V, date, days, nearest, numeric, read_json, read_time};
use super::{Outcome, unsupported};
use backsight_lang::ast::{Duration, Expr, ExprKind, Unit};
use num_bigint::BigInt;
use regex::{Captures, Regex};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The value of `name(args)`.
pub fn call(env: &Env<'_>, name: &str, args: &[Expr]) -> Outcome<V> {
    // What takes a period sees the tree, everything else values.
    match (name, args) {
        ("bin", [period]) => {
            let time = env.row.shown("@timestamp");
            return Ok(instant(&time).map_or(V::Null, |t| V::Time(floor_to(t, env_period(env, period).0))));
        }
        ("datefloor" | "dateceil", [time, period]) => {
            let (period, supported) = env_period(env, period);
            supported?;
            let Some(time) = instant(&env.eval(time)?) else { return Ok(V::Null) };
            let floor = floor_to(time, period);
            let up = name == "dateceil" && floor != time;
            return Ok(V::Time(if up { next_after(floor, period) } else { floor }));
        }
        _ => {}
    }
    let values = args.iter().map(|arg| env.eval(arg)).collect::<Outcome<Vec<V>>>()?;
    let regex = |pattern: &str| env.world.regex(pattern);
    plain(name, &values, &regex)
}

fn env_period(env: &Env<'_>, expr: &Expr) -> (Duration, Outcome<()>) {
    if matches!(&expr.kind, ExprKind::Path(path) if path.text() == "auto") {
        return (auto_period(env), Ok(()));
    }
    match env.period(expr) {
        Ok(period) => (period, Ok(())),
        Err(why) => (Duration { count: 1, unit: Unit::Day }, Err(why)),
    }
}

/// The shortest of a few periods that cuts the time from the first to the last event into at most 60 bins.
fn auto_period(env: &Env<'_>) -> Duration {
    let times: Vec<i64> = env.world.events.iter().filter_map(|e| e.time.millis()).collect();
    let (first, last) = (times.iter().min().copied().unwrap_or(0), times.iter().max().copied().unwrap_or(0));
    let steps = ["1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d", "1w", "1mo"];
    let mut periods = steps.iter().filter_map(|text| backsight_lang::duration(text));
    let fits = |period: &Duration| (0..60).fold(floor_to(first, *period), |bin, _| next_after(bin, *period)) > last;
    periods.clone().find(fits).or(periods.next_back()).expect("there are some")
}

fn plain(name: &str, args: &[V], regex: &dyn Fn(&str) -> Option<Regex>) -> Outcome<V> {
    let text = |at: usize| args.get(at).and_then(V::scalar);
    let number = |at: usize| args.get(at).and_then(V::operand);
    let float = |f: &dyn Fn(f64) -> f64| number(0).map_or(V::Null, |n| V::float(f(n.float())));
    let on_text = |f: &dyn Fn(&str) -> V| text(0).map_or(V::Null, |t| f(&t));
    let on_texts = |f: &dyn Fn(&str, &str) -> V| match (text(0), text(1)) {
        (Some(a), Some(b)) => f(&a, &b),
        _ => V::Null,
    };
    let predicate = |v: V| if v.is_null() { V::truth(false) } else { v };
    Ok(match name {
        // Numbers.
        "abs" => match number(0) {
            Some(N::Int(n)) => V::int(n.magnitude().clone()),
            _ => float(&f64::abs),
        },
        "ceil" | "floor" => match number(0) {
            Some(N::Int(n)) => V::int(n),
            _ if name == "ceil" => float(&f64::ceil),
            _ => float(&f64::floor),
        },
        "round" => {
            let places = if args.len() > 1 { number(1).map(|n| n.float() as i64) } else { Some(0) };
            match (number(0), places) {
                (Some(n), Some(places)) => round(&n, places),
                _ => V::Null,
            }
        }
        "sqrt" => float(&f64::sqrt),
        "log" => float(&f64::ln),
        "greatest" | "least" => {
            let wanted = if name == "greatest" { Ordering::Greater } else { Ordering::Less };
            let mut best: Option<N> = None;
            for n in args.iter().filter_map(V::number_or_bool) {
                if best.as_ref().is_none_or(|b| numbers(&n, b) == wanted) {
                    best = Some(n);
                }
            }
            // An integer outside 64 bits keeps its digits.
            best.map_or(V::Null, |n| match n {
                N::Int(n) if i64::try_from(&n).is_err() => V::string(n.to_string()),
                n => n.value(),
            })
        }
        "tonumber" => match args[0].number_or_bool().or_else(|| read_number(&text(0)?)) {
            // Digits beyond 64 bits are kept.
            Some(N::Int(n)) if i64::try_from(&n).is_err() => V::String(n.to_string()),
            number => number.map_or(V::Null, N::value),
        },
        "todouble" => args[0].operand().or_else(|| read_number(&text(0)?)).map_or(V::Null, |n| V::float(n.float())),
        "toint" | "tolong" => {
            let limit = if name == "toint" { 1i128 << 31 } else { 1i128 << 63 };
            let whole = args[0].operand().or_else(|| read_number(&text(0)?)).map(|n| match n {
                N::Int(n) => n,
                N::Float(x) => BigInt::from(x.trunc() as i128),
            });
            match whole {
                Some(n) if n >= BigInt::from(-limit) && n < BigInt::from(limit) => V::int(n),
                _ => V::Null,
            }
        }
        "isnumeric" => V::truth(match &args[0] {
            V::Number(..) => true,
            V::String(s) => numeric(s).is_some(),
            _ => false,
        }),
        // Strings.
        "isempty" => V::truth(args[0].is_null() || text(0).is_some_and(|t| t.is_empty())),
        "isblank" => V::truth(args[0].is_null() || text(0).is_some_and(|t| t.trim().is_empty())),
        "concat" => V::string(args.iter().filter_map(V::scalar).collect::<String>()),
        "trim" | "ltrim" | "rtrim" => {
            if args.len() > 1 && text(1).is_none() {
                return Ok(V::Null);
            }
            let chars = text(1);
            let strip = |c: char| chars.as_ref().map_or(c.is_whitespace(), |chars| chars.contains(c));
            on_text(&|t| match name {
                "trim" => V::string(t.trim_matches(strip)),
                "ltrim" => V::string(t.trim_start_matches(strip)),
                _ => V::string(t.trim_end_matches(strip)),
            })
        }
        "strlen" => on_text(&|t| V::int(t.chars().count())),
        "messagesize" => on_text(&|t| V::int(t.len())),
        "toupper" => on_text(&|t| V::string(t.to_uppercase())),
        "tolower" => on_text(&|t| V::string(t.to_lowercase())),
        "substr" => {
            let from = number(1).map(|n| n.float().max(0.0) as usize);
            let length = if args.len() > 2 { number(2).map(|n| n.float().max(0.0) as usize) } else { Some(usize::MAX) };
            match (text(0), from, length) {
                (Some(t), Some(from), Some(length)) => V::string(t.chars().skip(from).take(length).collect::<String>()),
                _ => V::Null,
            }
        }
        "replace" => match text(2) {
            None => V::Null,
            Some(with) => on_texts(&|t, what| match what {
                "" => V::string(t),
                _ => V::string(t.replace(what, &with)),
            }),
        },
        "regexreplace" | "regex_replace" => match (text(0), text(1).and_then(|r| regex(&r)), text(2)) {
            (Some(t), Some(regex), Some(with)) => V::string(regex.replace_all(&t, |c: &Captures<'_>| expand(&with, c))),
            _ => V::Null,
        },
        "strcontains" => {
            let lower = args.get(2).is_some_and(V::is_true);
            let fold = |t: &str| if lower { t.to_lowercase() } else { t.to_string() };
            predicate(on_texts(&|t, part| V::truth(fold(t).contains(&fold(part)))))
        }
        "startswith" => predicate(on_texts(&|t, part| V::truth(t.starts_with(part)))),
        "endswith" => predicate(on_texts(&|t, part| V::truth(t.ends_with(part)))),
        "split" => on_texts(&|t, by| match by {
            "" => V::List(vec![V::string(t)]),
            _ => V::List(t.split(by).map(V::string).collect()),
        }),
        // General.
        "ispresent" => V::truth(!args[0].is_null()),
        "coalesce" => args.iter().find(|v| !v.is_null()).cloned().unwrap_or(V::Null),
        "if" => args[if args[0].is_true() { 1 } else { 2 }].clone(),
        "case" => {
            let mut rest = args;
            while let [condition, value, behind @ ..] = rest {
                if condition.is_true() {
                    return Ok(value.clone());
                }
                rest = behind;
            }
            rest.first().cloned().unwrap_or(V::Null)
        }
        "unmask" => args[0].clone(),
        // JSON.
        "jsonparse" => match text(0).and_then(|t| read_json(&t)) {
            Some(value) if value.is_nested() => value,
            _ => V::Null,
        },
        "jsonstringify" if args[0].is_nested() => V::string(args[0].json()),
        "jsonstringify" => V::Null,
        "jsonarraysize" => list(&args[0]).map_or(V::Null, |items| V::int(items.len())),
        "jsonarraycontains" => match (list(&args[0]), text(1)) {
            (Some(items), Some(wanted)) => V::truth(items.iter().any(|v| v.text().as_ref() == Some(&wanted))),
            _ => V::truth(false),
        },
        // Addresses.
        "isvalidip" => V::truth(text(0).is_some_and(|t| t.parse::<IpAddr>().is_ok())),
        "isvalidipv4" => V::truth(text(0).is_some_and(|t| t.parse::<Ipv4Addr>().is_ok())),
        "isvalidipv6" => V::truth(text(0).is_some_and(|t| t.parse::<Ipv6Addr>().is_ok())),
        "ipv4tonumber" => match text(0).and_then(|t| t.parse::<Ipv4Addr>().ok()) {
            Some(ip) => V::int(u32::from(ip)),
            None => V::Null,
        },
        "isprivateip" => V::truth(match text(0).and_then(|t| t.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => ip.is_private(),
            Some(IpAddr::V6(ip)) => ip.segments()[0] & 0xfe00 == 0xfc00,
            None => false,
        }),
        // Encodings.
        "urlencode" => on_text(&|t| {
            let kept = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
            V::string(
                t.bytes()
                    .map(|b| if kept(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
                    .collect::<String>(),
            )
        }),
        "urldecode" => on_text(&|t| {
            let (mut bytes, mut rest) = (Vec::new(), t.as_bytes());
            while let [first, behind @ ..] = rest {
                let hex = behind.get(..2).filter(|h| *first == b'%' && h.iter().all(u8::is_ascii_hexdigit));
                let byte = hex.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
                bytes.push(byte.unwrap_or(*first));
                rest = if byte.is_some() { &behind[2..] } else { behind };
            }
            V::string(String::from_utf8_lossy(&bytes))
        }),
        // Time.
        "frommillis" => number(0).and_then(|n| in_range(&n)).map_or(V::Null, V::Time),
        "tomillis" => instant(&args[0]).map_or(V::Null, V::int),
        other => return unsupported(format!("the function {other}")),
    })
}

/// `$1`, `${name}` and `$$` filled in.
fn expand(with: &str, found: &Captures<'_>) -> String {
    let reference = Regex::new(r"\$(?:(\$)|([0-9]+)|\{([^}]*)\})").expect("valid");
    let group = |m: Option<regex::Match<'_>>| m.map_or("", |m| m.as_str()).to_string();
    let fill = |c: &Captures<'_>| match (c.get(1), c.get(2), c.get(3)) {
        (Some(_), ..) => "$".to_string(),
        (_, Some(number), _) => group(number.as_str().parse().ok().and_then(|n: usize| found.get(n))),
        (.., Some(name)) => match name.as_str().parse::<usize>() {
            Ok(n) => group(found.get(n)),
            Err(_) => group(found.name(name.as_str())),
        },
        _ => String::new(),
    };
    reference.replace_all(with, fill).into_owned()
}

/// A list, or the list that a string spells.
fn list(value: &V) -> Option<Vec<V>> {
    match value {
        V::List(items) => Some(items.clone()),
        V::String(text) => match read_json(text)? {
            V::List(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

/// A number as `toNumber` reads it: sign and exponent allowed, spaces trimmed.
fn read_number(text: &str) -> Option<N> {
    let form = Regex::new(r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$").expect("valid");
    let text = text.trim();
    if !form.is_match(text) {
        return None;
    }
    match text.contains(['.', 'e', 'E']) {
        true => text.parse().ok().map(N::Float).filter(|n| n.float().is_finite()),
        false => text.trim_start_matches('+').parse().ok().map(N::Int),
    }
}

/// Half away from zero, decided on the shortest decimal form.
fn round(n: &N, places: i64) -> V {
    let (text, exact) = match n {
        N::Int(n) => (n.to_string(), true),
        N::Float(x) => (format!("{x}"), false),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().expect("digits");
    // The value is digits / 10^scale; it is cut to a multiple of 10^-places.
    let cut = fraction.len() as i64 - places;
    if cut <= 0 {
        return n.clone().value();
    }
    if cut > 400 {
        return V::int(0);
    }
    let unit = BigInt::from(10).pow(cut as u32);
    let half = &unit / BigInt::from(if digits < BigInt::ZERO { -2 } else { 2 });
    let count = (digits + half) / unit;
    match u32::try_from(places) {
        Ok(places) if places > 0 => V::float(nearest(&count, &BigInt::from(10).pow(places))),
        _ => {
            let whole = count * BigInt::from(10).pow(places.unsigned_abs() as u32);
            if exact { V::int(whole) } else { V::float(nearest(&whole, &BigInt::from(1))) }
        }
    }
}

/// A timestamp, epoch milliseconds, or a readable time.
fn instant(value: &V) -> Option<i64> {
    match value {
        V::String(text) => read_time(text).or_else(|| numeric(text).and_then(|n| in_range(&n))),
        V::Time(_) | V::Number(..) => value.number().and_then(|n| in_range(&n)),
        _ => None,
    }
}

/// Milliseconds as a time. How far times reach is not said: functions know years of four digits.
fn in_range(n: &N) -> Option<i64> {
    let ms = match n {
        N::Int(n) => i64::try_from(n).ok()?,
        N::Float(x) => x.floor() as i64,
    };
    (-62_167_219_200_000..253_402_300_800_000).contains(&ms).then_some(ms)
}

/// The grid of periods: up to days from the epoch, weeks from a Monday, calendar units from January 1970.
fn floor_to(time: i64, period: Duration) -> i64 {
    match period.millis() {
        Some(length) => {
            let origin = if period.unit == Unit::Week { -3 * 86_400_000 } else { 0 };
            (time - origin).div_euclid(length) * length + origin
        }
        None => {
            let (year, month, _) = date(time.div_euclid(DAY));
            let months = (year - 1970) * 12 + month - 1;
            month_start(months.div_euclid(months_of(period)) * months_of(period))
        }
    }
}

/// The next point of the grid after one of its points.
fn next_after(point: i64, period: Duration) -> i64 {
    match period.millis() {
        Some(length) => point + length,
        // A point of the grid is the first of a month; 31 days a month lead past the next point, but not to the one after.
        None => floor_to(point + 31 * 86_400_000 * months_of(period), period),
    }
}

fn months_of(period: Duration) -> i64 {
    let unit = match period.unit {
        Unit::Quarter => 3,
        Unit::Year => 12,
        _ => 1,
    };
    unit * period.count as i64
}

fn month_start(months: i64) -> i64 {
    let (year, month) = (1970 + months.div_euclid(12), months.rem_euclid(12) + 1);
    days(year, month, 1).expect("the first of a month") * DAY
}
