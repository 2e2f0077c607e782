//! The form a rule is written with: simple conditions as rows of fact, operator and value joined by AND or OR, simple
//! actions as rows, everything else as the JSON of the API. Fields in, a rule out, and back. Pure; `rules` shows it.

use crate::form;
use crate::language::{Language, Speak as _};
use axum::body::Bytes;
use maud::{Markup, html};
use policy::rules::{Action, Condition, FACTS, Fact, Kind, Op, Point, Rule, Value as Compared};
use serde_json::{Value, json};

/// Rows of conditions and of actions that are shown at first.
const ROWS_USUAL: usize = 3;
/// Rows that are added when somebody asks for more.
const ROWS_MORE: usize = 3;
/// Rows of one form.
const ROWS_MAX: usize = 60;

/// Actions a row can say: the word after `do`, the field its argument goes to (empty: none), and what that is.
const ACTIONS: &[(&str, &str, [&str; 2])] = &[
    (
        "header",
        "action",
        [
            "Änderung, z. B. add X-Note: yes oder remove first X-Mailer",
            "change, such as add X-Note: yes or remove first X-Mailer",
        ],
    ),
    (
        "reject",
        "text",
        ["Text der Ablehnung (ASCII)", "text of the refusal (ASCII)"],
    ),
    (
        "defer",
        "text",
        ["Text des Aufschubs (ASCII)", "text of the deferral (ASCII)"],
    ),
    (
        "require-tls",
        "text",
        [
            "Text ohne TLS (ASCII), kann leer sein",
            "text without TLS (ASCII), may be empty",
        ],
    ),
    ("accept", "", ["nichts", "nothing"]),
    ("junk", "", ["nichts", "nothing"]),
    (
        "tag",
        "word",
        ["Marke für spätere Regeln", "tag for later rules"],
    ),
    ("group", "name", ["Kundengruppe", "customer group"]),
    (
        "pool",
        "name",
        ["Pool von Absenderadressen", "pool of source addresses"],
    ),
    ("priority", "value", ["-9 bis 9", "-9 to 9"]),
    (
        "delay",
        "by",
        ["z. B. 10m oder 20:00-22:00", "such as 10m or 20:00-22:00"],
    ),
    ("copy", "to", ["Adresse", "address"]),
];

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct TestRow {
    fact: String,
    op: String,
    value: String,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ActionRow {
    word: String,
    argument: String,
}

/// What stands in the form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entered {
    /// The version of the rules the form was made of.
    pub(super) version: i64,
    /// The rule that is changed; empty for a new one.
    pub(super) was: String,
    /// Why.
    pub(super) reason: String,
    name: String,
    note: String,
    at: Vec<String>,
    /// `any`, else all.
    join: String,
    tests: Vec<TestRow>,
    /// A nested condition; instead of the rows.
    when: String,
    actions: Vec<ActionRow>,
    /// Other actions; behind those of the rows.
    then: String,
    schedule: String,
}

impl Entered {
    /// An empty form: what is made by it only watches at first.
    pub(super) fn new(version: i64) -> Self {
        let mut entered = Self {
            version,
            schedule: "observe".to_owned(),
            ..Self::default()
        };
        entered.pad(ROWS_USUAL);
        entered
    }

    /// A rule to be changed.
    pub(super) fn of(version: i64, rule: &Rule) -> Self {
        let mut entered = Self {
            version,
            was: rule.name.clone(),
            name: rule.name.clone(),
            note: rule.note.clone(),
            at: rule.at.iter().map(|at| at.word().to_owned()).collect(),
            schedule: rule.schedule.to_string(),
            ..Self::default()
        };
        match rows_of(&rule.when) {
            Some((join, tests)) => {
                entered.join = join.to_owned();
                entered.tests = tests;
            }
            None => entered.when = pretty(&rule.when),
        }
        // Their order counts: once one is no row, those behind it are none either.
        let rows: Vec<_> = rule.then.iter().map_while(action_row).collect();
        if let Some(rest) = rule.then.get(rows.len()..).filter(|rest| !rest.is_empty()) {
            entered.then = pretty(&rest);
        }
        entered.actions = rows;
        entered.pad(1);
        entered
    }

    /// What a browser sent.
    pub(super) fn read(body: &Bytes) -> Self {
        let field = |name: &str| form::field(body, name).unwrap_or_default();
        let lines = |name: &str| form::fields(body, name, ROWS_MAX);
        let (facts, ops, values) = (lines("fact"), lines("op"), lines("value"));
        let tests = facts.into_iter().zip(ops).zip(values);
        let actions = lines("do").into_iter().zip(lines("argument"));
        Self {
            version: field("version").parse().unwrap_or(-1),
            was: field("was"),
            reason: field("reason"),
            name: field("name").trim().to_owned(),
            note: field("note"),
            at: lines("at"),
            join: field("join"),
            tests: tests
                .map(|((fact, op), value)| TestRow { fact, op, value })
                .collect(),
            when: field("when"),
            actions: actions
                .map(|(word, argument)| ActionRow { word, argument })
                .collect(),
            then: field("then"),
            schedule: field("schedule"),
        }
    }

    /// Room for more conditions and actions.
    pub(super) fn more_rows(&mut self) {
        let longest = self.tests.len().max(self.actions.len());
        self.pad((longest + ROWS_MORE).min(ROWS_MAX));
    }

    fn pad(&mut self, rows: usize) {
        let tests = self.tests.len().max(rows);
        self.tests.resize_with(tests, TestRow::default);
        let actions = self.actions.len().max(rows);
        self.actions.resize_with(actions, ActionRow::default);
    }

    /// The rule, in the very form the API takes.
    pub(super) fn rule(&self) -> Result<Rule, String> {
        let when = match self.when.trim() {
            "" => self.simple_condition()?,
            json => parsed(json)?,
        };
        let mut then: Vec<Value> = Vec::new();
        for row in self.actions.iter().filter(|row| !row.word.is_empty()) {
            then.push(row.json()?);
        }
        match self.then.trim() {
            "" => {}
            json => match parsed(json)? {
                Value::Array(more) => then.extend(more),
                one => then.push(one),
            },
        }
        let rule = json!({
            "name": self.name,
            "note": self.note.trim(),
            "at": self.at,
            "when": when,
            "then": then,
            "schedule": self.schedule,
        });
        serde_json::from_value(rule).map_err(|error| error.to_string())
    }

    fn simple_condition(&self) -> Result<Value, String> {
        let asked = self.tests.iter().filter(|row| !row.fact.trim().is_empty());
        let mut tests: Vec<Value> = asked.map(TestRow::json).collect::<Result<_, _>>()?;
        Ok(match (tests.len(), self.join.as_str()) {
            (0, _) => json!({}),
            (1, _) => tests.remove(0),
            (_, "any") => json!({ "any": tests }),
            _ => json!({ "all": tests }),
        })
    }
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

impl TestRow {
    fn json(&self) -> Result<Value, String> {
        let fact: Fact = self.fact.trim().parse()?;
        let text = self.value.trim();
        let op = match self.op.as_str() {
            "" => Op::Is.word(),
            op => op,
        };
        let mut test = json!({ "fact": fact.to_string(), "op": op });
        let several = matches!(op, "is-one-of" | "in-network") && text.contains(',');
        let value = match fact.kind() {
            _ if op == Op::Present.word() => return Ok(test),
            Kind::Flag => match text {
                "true" | "yes" | "ja" => json!(true),
                "false" | "no" | "nein" => json!(false),
                other => return Err(format!("\"{fact}\" is true or false, not \"{other}\"")),
            },
            Kind::Number if !several => {
                let number: u64 = (text.parse())
                    .map_err(|_| format!("\"{fact}\" is a number, not \"{text}\""))?;
                json!(number)
            }
            _ if several => json!(text.split(',').map(str::trim).collect::<Vec<_>>()),
            _ => json!(text),
        };
        test["value"] = value;
        Ok(test)
    }
}

impl ActionRow {
    fn json(&self) -> Result<Value, String> {
        let known = ACTIONS.iter().find(|(word, ..)| *word == self.word);
        let (word, field, _) = known.ok_or_else(|| format!("there is no action {}", self.word))?;
        let mut action = json!({ "do": word });
        let argument = self.argument.trim();
        match *field {
            "" => {}
            "text" if argument.is_empty() => {}
            "value" => {
                let number: i8 = (argument.parse())
                    .map_err(|_| format!("a priority is -9 to 9, not \"{argument}\""))?;
                action["value"] = json!(number);
            }
            field => action[field] = json!(argument),
        }
        Ok(action)
    }
}

/// A condition as rows, where it is simple enough.
fn rows_of(when: &Condition) -> Option<(&'static str, Vec<TestRow>)> {
    let (join, parts) = match when {
        Condition::All(parts) => ("all", parts.as_slice()),
        Condition::Any(parts) => ("any", parts.as_slice()),
        Condition::Test(_) => ("all", std::slice::from_ref(when)),
        Condition::Not(_) => return None,
    };
    let rows: Option<Vec<_>> = parts.iter().map(test_row).collect();
    let rows = rows.filter(|rows| rows.len() <= ROWS_MAX)?;
    Some((join, rows))
}

fn test_row(condition: &Condition) -> Option<TestRow> {
    let Condition::Test(test) = condition else {
        return None;
    };
    let value = match &test.value {
        None => String::new(),
        Some(Compared::Flag(flag)) => flag.to_string(),
        Some(Compared::Number(number)) => number.to_string(),
        Some(Compared::Text(text)) => text.clone(),
        Some(Compared::List(all)) => all.join(", "),
    };
    let row = TestRow {
        fact: test.fact.to_string(),
        op: test.op.word().to_owned(),
        value,
    };
    // A list with a comma in a value, or of one value, would come back as another.
    let back: Condition = serde_json::from_value(row.json().ok()?).ok()?;
    (back == *condition).then_some(row)
}

fn action_row(action: &Action) -> Option<ActionRow> {
    let (_, field, _) = ACTIONS.iter().find(|(word, ..)| *word == action.word())?;
    let json = serde_json::to_value(action).ok()?;
    let argument = match json.get(*field) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let row = ActionRow {
        word: action.word().to_owned(),
        argument,
    };
    let back: Action = serde_json::from_value(row.json().ok()?).ok()?;
    (back == *action).then_some(row)
}

/// The fields with what was entered.
pub(super) fn fields(entered: &Entered, language: Language) -> Markup {
    let say = |german, english| language.of(german, english);
    html! {
        input type="hidden" name="version" value=(entered.version);
        input type="hidden" name="was" value=(entered.was);
        label for="name" { (say("Name", "Name")) }
        input #name name="name" type="text" required maxlength="64" pattern="[A-Za-z0-9._\\-]+" value=(entered.name);
        label for="note" { (say("Notiz", "Note")) }
        input #note name="note" type="text" maxlength="2000" value=(entered.note);
        fieldset {
            legend { (say("Gefragt bei", "Asked at")) }
            @for point in Point::ALL {
                label.inline {
                    input type="checkbox" name="at" value=(point.word()) checked[entered.at.iter().any(|at| at == point.word())];
                    " " (point.word()) " "
                }
            }
        }
        (conditions(entered, language))
        (actions(entered, language))
        label for="schedule" { (say("Zeitplan, z. B. observe; 2027-01-15 warn; 2027-02-01 enforce", "Schedule, such as observe; 2027-01-15 warn; 2027-02-01 enforce")) }
        input #schedule name="schedule" type="text" required value=(entered.schedule);
        label for="reason" { (say("Warum (steht in der Historie)", "Why (stands in the history)")) }
        input #reason name="reason" type="text" maxlength="2000" value=(entered.reason);
    }
}

fn conditions(entered: &Entered, language: Language) -> Markup {
    let say = |german, english| language.of(german, english);
    html! {
        datalist #facts {
            @for (fact, described) in FACTS {
                option value=(described.word) { (fact.says(language)) }
            }
            option value="header:subject" { (say("ein Header-Feld", "a header field")) }
            option value="header-count:received" { (say("die Zahl gleicher Header-Felder", "the number of header fields of a name")) }
        }
        fieldset {
            legend { (say("Wenn", "When")) }
            label for="join" { (say("Verbunden durch", "Joined by")) }
            select #join name="join" {
                option value="all" selected[entered.join != "any"] { (say("UND: alle müssen gelten", "AND: all must hold")) }
                option value="any" selected[entered.join == "any"] { (say("ODER: eine genügt", "OR: one is enough")) }
            }
            @for (n, row) in entered.tests.iter().enumerate() {
                (condition(n + 1, row, language))
            }
            label for="when" {
                (say(
                    "Geschachtelte Bedingung als JSON, anstelle der Zeilen",
                    "A nested condition as JSON, instead of the rows",
                ))
            }
            textarea #when name="when" rows="4" { (entered.when) }
        }
    }
}

fn condition(n: usize, row: &TestRow, language: Language) -> Markup {
    let say = |german, english| language.of(german, english);
    html! {
        fieldset {
            legend { (say("Bedingung ", "Condition ")) (n) }
            label for={ "fact-" (n) } { (say("Merkmal", "Fact")) }
            input id={ "fact-" (n) } name="fact" type="text" list="facts" value=(row.fact);
            label for={ "op-" (n) } { (say("Vergleich", "Comparison")) }
            select id={ "op-" (n) } name="op" {
                @for op in Op::ALL {
                    option value=(op.word()) selected[row.op == op.word()] { (op.says(language)) }
                }
            }
            label for={ "value-" (n) } { (say("Wert; mehrere mit Komma", "Value; several with commas")) }
            input id={ "value-" (n) } name="value" type="text" value=(row.value);
        }
    }
}

fn actions(entered: &Entered, language: Language) -> Markup {
    let say = |german, english| language.of(german, english);
    html! {
        fieldset {
            legend { (say("Dann", "Then")) }
            @for (n, row) in entered.actions.iter().enumerate() {
                fieldset {
                    legend { (say("Aktion ", "Action ")) (n + 1) }
                    label for={ "do-" (n) } { (say("Was", "What")) }
                    select id={ "do-" (n) } name="do" {
                        option value="" { (say("nichts", "nothing")) }
                        @for (word, _, what) in ACTIONS {
                            option value=(word) selected[row.word == *word] {
                                (word) " – " (language.of(what[0], what[1]))
                            }
                        }
                    }
                    label for={ "argument-" (n) } { (say("Damit", "With")) }
                    input id={ "argument-" (n) } name="argument" type="text" value=(row.argument);
                }
            }
            label for="then" {
                (say(
                    "Weitere Aktionen als JSON (rate, source, auth-mechanisms, extensions-off, status …)",
                    "More actions as JSON (rate, source, auth-mechanisms, extensions-off, status …)",
                ))
            }
            textarea #then name="then" rows="4" { (entered.then) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: Value) -> Rule {
        serde_json::from_value(json).unwrap()
    }

    fn encoded(pairs: &[(&str, &str)]) -> Bytes {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        form.finish().into()
    }

    #[test]
    fn rows_become_the_rule_the_api_knows() {
        let body = encoded(&[
            ("version", "3"),
            ("name", "mark"),
            ("at", "data"),
            ("join", "any"),
            ("fact", "sender-domain"),
            ("op", "is-one-of"),
            ("value", "a.test, b.test"),
            ("fact", "size"),
            ("op", "above"),
            ("value", "1000"),
            ("fact", ""),
            ("op", "is"),
            ("value", ""),
            ("do", "tag"),
            ("argument", "big"),
            ("do", ""),
            ("argument", ""),
            ("then", r#"[{"do":"rate","count":3,"per":"1h"}]"#),
            ("schedule", "observe"),
            ("reason", "why not"),
        ]);
        let entered = Entered::read(&body);
        assert_eq!((entered.version, entered.reason.as_str()), (3, "why not"));
        let expected = rule(json!({
            "name": "mark", "at": ["data"], "schedule": "observe",
            "when": { "any": [
                { "fact": "sender-domain", "op": "is-one-of", "value": ["a.test", "b.test"] },
                { "fact": "size", "op": "above", "value": 1000 },
            ]},
            "then": [{ "do": "tag", "word": "big" }, { "do": "rate", "count": 3, "per": "1h" }],
        }));
        assert_eq!(entered.rule().unwrap(), expected);
    }

    #[test]
    fn what_a_form_shows_comes_back_as_it_was() {
        for when in [
            json!({}),
            json!({ "fact": "tls", "op": "is", "value": false }),
            json!({ "all": [{ "fact": "header:subject", "op": "present" },
                            { "fact": "client", "op": "in-network", "value": ["10.0.0.0/8", "::1"] }] }),
            json!({ "not": { "fact": "hello", "op": "is", "value": "x" } }),
            json!({ "any": [{ "all": [{ "fact": "port", "op": "is", "value": 25 },
                                      { "fact": "tls", "op": "is", "value": true }] },
                            { "fact": "hello", "op": "is-one-of", "value": ["a,b"] }] }),
        ] {
            let rule = rule(json!({
                "name": "r", "at": ["data"], "when": when, "schedule": "observe; 2030-01-01 enforce",
                "then": [{ "do": "header", "action": "add X-Note: yes" }, { "do": "junk" },
                         { "do": "rate", "count": 1, "per": "1h" },
                         { "do": "reject", "text": "No.", "status": "7.1" }],
            }));
            let entered = Entered::of(1, &rule);
            assert_eq!(entered.rule().unwrap(), rule);
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let wrong = |pairs: &[(&str, &str)]| {
            let mut all = vec![("name", "r"), ("at", "data"), ("schedule", "observe")];
            all.extend(pairs);
            Entered::read(&encoded(&all)).rule().unwrap_err()
        };
        let row = |fact, value| [("fact", fact), ("op", "is"), ("value", value)];
        assert!(wrong(&row("tls", "maybe")).contains("true or false"));
        assert!(wrong(&row("size", "big")).contains("is a number"));
        assert!(wrong(&row("nose", "big")).contains("there is no fact"));
        assert!(wrong(&[("when", "{")]).contains("no JSON"));
        assert!(wrong(&[("do", "dance"), ("argument", "")]).contains("no action"));
        assert!(wrong(&[("do", "header"), ("argument", "dance")]).contains("dance"));
    }
}
