//! S2-23, any order: rules and measures are applied from files, taken back, restored and refused in a seeded random
//! order over either of two nodes on one store, sometimes over both at once. After every step both nodes hold the same
//! revision and rule alike, and as the store says.

use crate::s2_23::{Nodes, wait_told};
use harness::{Lines, Server};
use std::collections::BTreeSet;

/// Changed to look for other orders; what went wrong names it.
const SEED: u64 = 20_261_123;
const STEPS: usize = 24;

/// Splitmix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("it fits")
    }
}

/// What is wanted: the stage of clear logins, and the rules in their order, each enforced or not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    cleartext: Option<&'static str>,
    rules: Vec<(usize, bool)>,
}

impl Wish {
    fn any(dice: &mut Dice) -> Self {
        let stages = [
            None,
            Some("observe; 2017-06-01 enforce"),
            Some("warn; 2017-06-01 enforce"),
            Some("enforce"),
        ];
        let mut names = vec![0, 1, 2];
        let mut rules = Vec::new();
        for _ in 0..dice.below(4) {
            let name = names.remove(dice.below(names.len()));
            rules.push((name, dice.below(3) > 0));
        }
        Self {
            cleartext: stages[dice.below(stages.len())],
            rules,
        }
    }

    /// With the directory's part of a file.
    fn file(&self, directory: &str) -> String {
        let (mut policy, mut rules) = (String::new(), String::new());
        if let Some(stage) = self.cleartext {
            policy = format!(
                "[[policy]]\nscope = \"installation\"\nname = \"cleartext\"\nitem = \"imap\"\nvalue = \"{stage}\"\n"
            );
        }
        for (name, enforced) in &self.rules {
            let schedule = if *enforced { "enforce" } else { "observe" };
            rules += &format!(
                "[[rules]]\nname = \"r{name}\"\nat = [\"rcpt\"]\nschedule = \"{schedule}\"\n\
                 then = [{{ do = \"reject\", status = \"7.1\", text = \"refused by r{name}\" }}]\n"
            );
        }
        let none = |name: &str, tables: &str| match tables.is_empty() {
            true => format!("{name} = []\n"),
            false => String::new(),
        };
        let (no_policy, no_rules) = (none("policy", &policy), none("rules", &rules));
        format!("{no_policy}{no_rules}{directory}{policy}{rules}")
    }
}

/// Everything both nodes are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ruling {
    login_in_clear: bool,
    refused_by: Option<String>,
}

/// What a node rules.
fn ruling(node: &Server) -> Ruling {
    let anna = node.account("anna");
    let mut imap = Lines::clear(node.port("imap"));
    imap.line();
    let login = imap.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password));
    let mut smtp = Lines::clear(node.port("smtp"));
    smtp.line();
    smtp.smtp_ask("EHLO far.test");
    smtp.smtp_ask("MAIL FROM:<a@far.test>");
    let reply = smtp.smtp_ask(&format!("RCPT TO:<{}>", anna.address));
    let by = reply.split("refused by ").nth(1);
    assert_eq!(by.is_none(), reply.starts_with("250"), "{reply}");
    Ruling {
        login_in_clear: login.contains("a OK"),
        refused_by: by.map(|by| by.trim_end().to_owned()),
    }
}

/// What the store says that every node has to rule.
fn expected(node: &Server) -> Ruling {
    let told = |arguments: &[&str]| -> serde_json::Value {
        let (ok, output, errors) = node.cli(arguments);
        assert!(ok, "{arguments:?}: {output}{errors}");
        serde_json::from_str(&output).expect("JSON")
    };
    let set = told(&["policy", "list", "--json"]);
    let set = set.as_array().expect("settings").iter();
    let cleartext = set.filter(|row| row["name"] == "cleartext");
    let values: Vec<_> = cleartext
        .map(|row| row["value"].as_str().unwrap_or_default().to_owned())
        .collect();
    // Nothing set is enforced; a pause is milder.
    let is_enforced = |value: &String| value.starts_with("enforce") && !value.contains("paused");
    let rules = told(&["rules", "list", "--json"]);
    let rules = rules["rules"].as_array().expect("rules").iter();
    let first = rules
        .filter(|rule| rule["schedule"] == "enforce")
        .map(|rule| rule["name"].as_str().unwrap_or_default().to_owned())
        .next();
    Ruling {
        login_in_clear: !values.iter().all(is_enforced),
        refused_by: first,
    }
}

/// The revisions that the nodes say they hold, as one of them tells.
fn revisions(node: &Server) -> (usize, BTreeSet<String>) {
    let (_, listed, _) = node.cli(&["measure", "list"]);
    let held = listed.lines();
    let held = held.filter_map(|line| line.split_once("holds the rules of revision "));
    let held: Vec<_> = held.map(|(_, revision)| revision.to_owned()).collect();
    (held.len(), held.into_iter().collect())
}

struct World {
    nodes: Nodes,
    directory: String,
    dice: Dice,
    /// Versions of rules there are.
    versions: usize,
}

impl World {
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.nodes.nodes[0].dir().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn versions(&self) -> usize {
        let (ok, told, errors) = self.nodes.nodes[0].cli(&["rules", "history", "--json"]);
        assert!(ok, "{told}{errors}");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told.as_array().expect("versions").len()
    }

    /// One step over one node, or over both; what was done.
    fn step(&mut self) -> String {
        let over = self.dice.below(2);
        let wish = Wish::any(&mut self.dice);
        match self.dice.below(8) {
            0..=2 => self.apply(over, &wish),
            3 => self.apply_both(&wish),
            4 => self.refused(over, &wish),
            5 => self.restore(over),
            6 => self.measure(over),
            _ => self.rule_by_rule(over),
        }
    }

    fn apply(&self, over: usize, wish: &Wish) -> String {
        let file = self.file("state.toml", &wish.file(&self.directory));
        let (ok, output, errors) = self.nodes.nodes[over].cli(&["plan", &file]);
        assert!(ok, "{output}{errors}");
        let (ok, output, errors) = self.nodes.nodes[over].cli(&["apply", &file]);
        assert!(ok, "{output}{errors}");
        let (ok, again, _) = self.nodes.nodes[1 - over].cli(&["plan", &file]);
        assert!(ok && again == "Nothing changes.\n", "{again}");
        format!("apply over {over}: {wish:?}")
    }

    /// Two files at the same time: one holds in the end, whole.
    fn apply_both(&mut self, wish: &Wish) -> String {
        let other = Wish::any(&mut self.dice);
        let files = [
            self.file("one.toml", &wish.file(&self.directory)),
            self.file("other.toml", &other.file(&self.directory)),
        ];
        let nodes = &self.nodes.nodes;
        std::thread::scope(|scope| {
            for (node, file) in nodes.iter().zip(&files) {
                scope.spawn(move || {
                    let (ok, output, errors) = node.cli(&["apply", file]);
                    assert!(ok, "{output}{errors}");
                });
            }
        });
        let left = files.each_ref().map(|file| nodes[0].cli(&["plan", file]).1);
        let held = left.iter().filter(|told| *told == "Nothing changes.\n");
        assert!(held.count() >= 1, "{wish:?} {other:?}: {left:?}");
        format!("apply over both: {wish:?} and {other:?}")
    }

    /// A file of which one part cannot be changes nothing.
    fn refused(&self, over: usize, wish: &Wish) -> String {
        let node = &self.nodes.nodes[over];
        let before = node.cli(&["export"]).1;
        let wrong = wish.file(&self.directory)
            + "[[policy]]\nscope = \"domain:firma.test\"\nname = \"inbound-tls\"\nvalue = \"required\"\n";
        let file = self.file("wrong.toml", &wrong.replace("policy = []\n", ""));
        let (ok, _, errors) = node.cli(&["apply", &file]);
        assert!(!ok && errors.contains("consent"), "{errors}");
        assert_eq!(node.cli(&["export"]).1, before);
        format!("refused over {over}: {wish:?}")
    }

    fn restore(&mut self, over: usize) -> String {
        if self.versions == 0 {
            return "nothing to restore".to_owned();
        }
        let version = (1 + self.dice.below(self.versions)).to_string();
        let (ok, output, errors) = self.nodes.nodes[over].cli(&["rules", "rollback", &version]);
        assert!(ok, "{output}{errors}");
        format!("rules rollback {version} over {over}")
    }

    /// Some of these find nothing to do, which is no matter.
    fn measure(&mut self, over: usize) -> String {
        let verbs = [
            &[
                "set",
                "installation",
                "cleartext/imap",
                "warn",
                "2017-06-01",
                "enforce",
            ][..],
            &["pause", "installation", "cleartext/imap"],
            &["resume", "installation", "cleartext/imap"],
            &["rollback", "installation", "cleartext/imap"],
            &["unset", "installation", "cleartext/imap"],
        ];
        let verb = verbs[self.dice.below(verbs.len())];
        let (ok, ..) = self.nodes.nodes[over].cli(&[&["measure"][..], verb].concat());
        format!("measure {verb:?} over {over}: {ok}")
    }

    fn rule_by_rule(&mut self, over: usize) -> String {
        let name = format!("r{}", self.dice.below(3));
        let schedule = ["observe", "enforce"][self.dice.below(2)];
        let verbs = [
            &["set", &name, "--schedule", schedule][..],
            &["remove", &name],
            &["move", &name, "--first"],
        ];
        let verb = verbs[self.dice.below(verbs.len())];
        let (ok, ..) = self.nodes.nodes[over].cli(&[&["rules"][..], verb].concat());
        format!("rules {verb:?} over {over}: {ok}")
    }

    /// Both nodes hold one revision, rule alike, and as the store says.
    fn agree(&self, done: &[String]) {
        let wanted = expected(&self.nodes.nodes[0]);
        let seen = std::cell::RefCell::new(String::new());
        let what = || format!("{done:#?}\nwanted {wanted:?}, seen {}", seen.borrow());
        let agree = || {
            let rulings = self.nodes.nodes.each_ref().map(ruling);
            let held = self.nodes.nodes.each_ref().map(revisions);
            *seen.borrow_mut() = format!("{rulings:?} at {held:?}");
            rulings.iter().all(|ruling| *ruling == wanted)
                && held[0] == held[1]
                && held[0].0 == 2
                && held[0].1.len() == 1
        };
        wait_told(what, agree);
    }
}

#[test]
fn two_nodes_rule_alike_after_any_sequence_of_changes() {
    let nodes = Nodes::start();
    let directory = nodes.cli(&["export"]);
    let mut world = World {
        nodes,
        directory,
        dice: Dice(SEED),
        versions: 0,
    };
    let mut done = vec![format!("seed {SEED}")];
    for _ in 0..STEPS {
        done.push(world.step());
        world.versions = world.versions();
        world.agree(&done);
    }
}
