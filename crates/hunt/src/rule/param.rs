//! Parameters of rules: typed values that become literals of the query, never text in it.

use serde::Deserialize;
use serde_json::Value;

/// A value of the query that can be turned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The value without an override.
    pub default: Value,
    /// What values there are.
    pub r#type: Type,
    /// The smallest number.
    #[serde(default)]
    pub min: Option<f64>,
    /// The largest number.
    #[serde(default)]
    pub max: Option<f64>,
    /// Why the default is what it is; thresholds must say it.
    #[serde(default)]
    pub why: Option<String>,
    /// By how much a number is turned to see whether the tests notice; 1 for whole numbers, 0.1 for others.
    #[serde(default)]
    pub step: Option<f64>,
}

/// The types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A whole number.
    Int,
    /// Any number.
    #[serde(alias = "float")]
    Number,
    /// `5m`
    Duration,
    /// Text.
    String,
    /// `true` or `false`
    Bool,
    /// A regular expression.
    Regex,
    /// A network such as `10.0.0.0/8`.
    Cidr,
    /// Values for `in`.
    List,
}

impl Type {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int => "int",
            Type::Number => "number",
            Type::Duration => "duration",
            Type::String => "string",
            Type::Bool => "bool",
            Type::Regex => "regex",
            Type::Cidr => "cidr",
            Type::List => "list",
        }
    }
}

impl Param {
    /// A number that decides: its turning must be noticed by a test.
    pub fn is_threshold(&self) -> bool {
        matches!(self.r#type, Type::Int | Type::Number) || self.step.is_some()
    }

    /// The literal a value becomes in the query.
    ///
    /// # Errors
    /// Why the value is not one of this type.
    pub fn literal(&self, value: &Value) -> Result<String, String> {
        let bad = || format!("`{}` is not a {}", plain(value), self.r#type.name());
        match self.r#type {
            Type::Int | Type::Number => {
                let text = plain(value);
                let number: f64 = text.trim().parse().map_err(|_| bad())?;
                let whole = text.trim().parse::<i64>().is_ok();
                if !number.is_finite() || (self.r#type == Type::Int && !whole) {
                    return Err(bad());
                }
                if self.min.is_some_and(|min| number < min) || self.max.is_some_and(|max| number > max) {
                    return Err(format!("`{text}` is out of range: {}", self.range()));
                }
                Ok(text.trim().to_owned())
            }
            Type::Duration => {
                let text = plain(value);
                backsight_lang::duration(&text).map(|_| text.trim().to_owned()).ok_or_else(bad)
            }
            Type::Bool => plain(value).trim().parse::<bool>().map(|b| b.to_string()).map_err(|_| bad()),
            Type::String => Ok(quoted(&plain(value))),
            Type::Cidr => {
                let text = plain(value);
                backsight_engine::func::parse_cidr(text.trim()).map(|_| quoted(text.trim())).ok_or_else(bad)
            }
            Type::Regex => {
                let text = plain(value);
                regex::bytes::Regex::new(&text).map_err(|e| format!("`{text}`: {e}"))?;
                Ok(format!("/{}/", slashed(&text)))
            }
            Type::List => {
                let items: Vec<String> = match value {
                    Value::Array(items) => items.iter().map(item).collect(),
                    other => plain(other).split(',').map(|part| quoted(part.trim())).collect(),
                };
                Ok(format!("[{}]", items.join(", ")))
            }
        }
    }

    fn range(&self) -> String {
        let end = |n: Option<f64>| n.map_or("…".to_owned(), |n| n.to_string());
        format!("{} to {}", end(self.min), end(self.max))
    }

    /// The values one step above and below the default, those outside the range left out.
    pub fn neighbours(&self) -> Vec<Value> {
        let step = self.step.unwrap_or(if self.r#type == Type::Int { 1.0 } else { 0.1 });
        match self.r#type {
            Type::Int => {
                let Some(n) = self.default.as_i64() else { return Vec::new() };
                [n.saturating_sub(step as i64), n.saturating_add(step as i64)].map(Value::from).to_vec()
            }
            Type::Number => {
                let Some(x) = self.default.as_f64() else { return Vec::new() };
                [x - step, x + step].map(|x| Value::from((x * 1e9).round() / 1e9)).to_vec()
            }
            Type::Duration => {
                let Some(ms) = backsight_lang::duration(&plain(&self.default)).and_then(|d| d.millis()) else {
                    return Vec::new();
                };
                let step = (step * 1000.0) as i64;
                [ms - step, ms + step].map(|ms| Value::from(format!("{ms}ms"))).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// The text of a value without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn item(value: &Value) -> String {
    match value {
        Value::String(s) => quoted(s),
        other => other.to_string(),
    }
}

/// A string literal of the language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The source of a regular expression with `/` escaped, unless it is.
fn slashed(source: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for c in source.chars() {
        if c == '/' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn param(r#type: Type) -> Param {
        Param { default: Value::Null, r#type, min: Some(1.0), max: None, why: None, step: None }
    }

    #[test]
    fn literals() {
        for (r#type, value, literal) in [
            (Type::Int, json!(20), Some("20")),
            (Type::Int, json!("20"), Some("20")),
            (Type::Int, json!(0), None),
            (Type::Int, json!(2.5), None),
            (Type::Int, json!("20 or 1 = 1"), None),
            (Type::Number, json!(2.5), Some("2.5")),
            (Type::Number, json!("inf"), None),
            (Type::Duration, json!("5m"), Some("5m")),
            (Type::Duration, json!("5m) | limit 1"), None),
            (Type::String, json!("a\"b\\"), Some(r#""a\"b\\""#)),
            (Type::Bool, json!(true), Some("true")),
            (Type::Regex, json!(r"^/a\/b"), Some(r"/^\/a\/b/")),
            (Type::Regex, json!("("), None),
            (Type::Cidr, json!("10.0.0.0/8"), Some(r#""10.0.0.0/8""#)),
            (Type::Cidr, json!("ten"), None),
            (Type::List, json!([22, "a"]), Some(r#"[22, "a"]"#)),
            (Type::List, json!("a, b"), Some(r#"["a", "b"]"#)),
        ] {
            assert_eq!(param(r#type).literal(&value).ok().as_deref(), literal, "{type:?} {value}");
        }
    }

    #[test]
    fn neighbours_of_thresholds() {
        let turned = |r#type, default: Value, step| Param { default, step, ..param(r#type) }.neighbours();
        assert_eq!(turned(Type::Int, json!(20), None), [json!(19), json!(21)]);
        assert_eq!(turned(Type::Number, json!(0.7), None), [json!(0.6), json!(0.8)]);
        assert_eq!(turned(Type::Duration, json!("5m"), Some(60.0)), [json!("240000ms"), json!("360000ms")]);
        assert!(!param(Type::Duration).is_threshold());
    }
}
