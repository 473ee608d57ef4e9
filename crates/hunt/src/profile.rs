//! Log sources: how their records are recognised, and where the canonical fields that rules are written on are found in
//! them. The knowledge is data, `profiles.yml`; a user's file of the same shape adds to it.

mod places;

use backsight_engine::source::Field;
use backsight_lang::ast::{ExprKind, Path, Segment, StageKind};
pub use places::{Place, Spot, Tables, Take};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The built-in profiles.
const BUILT_IN: &str = include_str!("profiles.yml");

/// All log sources that rules can be about.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    profiles: Vec<Profile>,
}

/// A log source.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// What rules call it: the category of their log source.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// The input formats that are this source.
    pub formats: Vec<String>,
    /// Records that hold all fields of one of these are of this source.
    pub signs: Vec<Vec<Field>>,
    /// Texts that stand for an absent value.
    pub absent: Vec<String>,
    /// Where canonical fields are found.
    pub fields: BTreeMap<String, Vec<Place>>,
    /// How its records look in tables.
    pub tables: Tables,
    /// The records at hand come from a table.
    pub in_tables: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileForm {
    #[serde(default)]
    about: String,
    #[serde(default)]
    formats: Vec<String>,
    #[serde(default)]
    signs: Vec<Vec<String>>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, Vec<PlaceForm>>,
    #[serde(default)]
    tables: TablesForm,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TablesForm {
    #[serde(default)]
    signs: Vec<Vec<String>>,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    names: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PlaceForm {
    Name(String),
    Full { from: FromForm, take: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FromForm {
    One(String),
    Many(Vec<String>),
}

impl Profiles {
    /// The built-in profiles.
    ///
    /// # Errors
    /// What is wrong with them; a test sees to it that nothing is.
    pub fn built_in() -> Result<Profiles, String> {
        let mut profiles = Profiles::default();
        profiles.add(BUILT_IN)?;
        Ok(profiles)
    }

    /// Takes in a file of the user: places come before those known so far, everything else is added.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let forms: BTreeMap<String, ProfileForm> =
            serde_saphyr::from_str(text).map_err(|e| e.without_snippet().to_string())?;
        for (name, form) in forms {
            let at = self.profiles.iter().position(|p| p.name == name).unwrap_or_else(|| {
                self.profiles.push(Profile { name: name.clone(), ..Profile::default() });
                self.profiles.len() - 1
            });
            self.profiles[at].add(form).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }

    /// The log source of a name.
    pub fn named(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|p| p.name == name)
    }

    /// The log source of a format.
    pub fn of_format(&self, format: &str) -> Option<&Profile> {
        self.profiles.iter().find(|p| p.formats.iter().any(|f| f == format))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter()
    }

    /// All fields that say of which source a record is.
    pub fn sign_fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let signs = self.profiles.iter().flat_map(|p| p.signs.iter().chain(&p.tables.signs));
        for field in signs.flatten() {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        fields
    }
}

impl Profile {
    fn add(&mut self, form: ProfileForm) -> Result<(), String> {
        if !form.about.is_empty() {
            self.about = form.about;
        }
        self.formats.extend(form.formats);
        self.absent.extend(form.absent);
        let signs = |signs: Vec<Vec<String>>| -> Result<Vec<Vec<Field>>, String> {
            signs.iter().map(|sign| sign.iter().map(|name| field(name)).collect()).collect()
        };
        self.signs.extend(signs(form.signs)?);
        self.tables.signs.extend(signs(form.tables.signs)?);
        self.tables.texts.extend(form.tables.texts);
        for (name, others) in form.tables.names {
            let path = |other: &String| match field(other)? {
                Field::Path(path) => Ok(path),
                _ => Err(format!("`{other}` is no field of the data")),
            };
            let others = others.iter().map(path).collect::<Result<Vec<_>, String>>()?;
            self.tables.names.entry(name).or_default().splice(0..0, others);
        }
        for (name, places) in form.fields {
            let places = places.into_iter().map(place).collect::<Result<Vec<Place>, String>>()?;
            let known = self.fields.entry(name).or_default();
            known.splice(0..0, places);
        }
        Ok(())
    }

    /// The places of a field as queries name it; `None` for a field that stands in the data as it is.
    pub fn places(&self, field: &Field) -> Option<Vec<Place>> {
        let Field::Path(path) = field else { return None };
        if let [Segment::Name { text, .. }] = path.as_slice()
            && let Some(places) = self.fields.get(text)
        {
            return Some(self.tables.places(places, self.in_tables));
        }
        let spots = self.tables.spots(field, self.in_tables);
        (spots.len() > 1).then(|| spots.into_iter().map(|spot| Place { from: vec![spot], take: Take::Same }).collect())
    }

    /// Whether a field is canonical.
    pub fn is_canonical(&self, field: &Field) -> bool {
        matches!(field, Field::Path(path) if matches!(path.as_slice(), [Segment::Name { text, .. }] if self.fields.contains_key(text)))
    }
}

fn place(form: PlaceForm) -> Result<Place, String> {
    let (names, take) = match form {
        PlaceForm::Name(name) => (vec![name], Take::Same),
        PlaceForm::Full { from, take } => {
            let names = match from {
                FromForm::One(name) => vec![name],
                FromForm::Many(names) => names,
            };
            (names, Take::named(&take).ok_or_else(|| format!("there is no way to take `{take}`"))?)
        }
    };
    Ok(Place { from: names.iter().map(|n| field(n).map(Spot::of)).collect::<Result<_, _>>()?, take })
}

/// A field as a query names it.
///
/// # Errors
/// The text, if it is not a name.
pub fn field(name: &str) -> Result<Field, String> {
    path(name).map(|path| Field::named(&path)).ok_or_else(|| format!("`{name}` is not the name of a field"))
}

fn path(name: &str) -> Option<Path> {
    let parsed = backsight_lang::parse(&format!("fields {name}"));
    match parsed.query.stages.as_slice() {
        [stage] if parsed.is_ok() => match &stage.kind {
            StageKind::Fields(items) => match items.as_slice() {
                [item] if item.alias.is_none() => match &item.expr.kind {
                    ExprKind::Path(path) => Some(path.clone()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_can_be_read() {
        let profiles = Profiles::built_in().expect("readable");
        let access = profiles.of_format("alb").expect("a web format");
        assert_eq!(access.name, "access");
        let ip = access.places(&field("ip").expect("a name")).expect("canonical");
        assert_eq!(ip[0], Place { from: vec![Spot::of(field("ip").expect("a name"))], take: Take::Same });
        assert!(access.places(&field("identity.sourceIp").expect("a name")).is_none());
        assert!(profiles.sign_fields().len() > 20);
        let mut formats: Vec<&String> = profiles.iter().flat_map(|p| &p.formats).collect();
        let n = formats.len();
        formats.sort();
        formats.dedup();
        assert_eq!(formats.len(), n, "a format is one source");
    }

    #[test]
    fn a_file_of_the_user_comes_first() {
        let mut profiles = Profiles::built_in().expect("readable");
        profiles.add("access: { fields: { ip: [caller.address] } }\nsquid: { signs: [[squid_time]] }").expect("valid");
        let access = profiles.named("access").expect("there");
        assert_eq!(access.fields["ip"][0].from[0].field.name(), "caller.address");
        assert!(profiles.named("squid").is_some());
        assert!(profiles.add("access: { fields: { ip: ['a b'] } }").is_err());
        assert!(profiles.add("access: { fields: { ip: [{ from: a, take: nothing }] } }").is_err());
    }
}
