//! The pages say what the program does: each option is in docs/cli.md, and what
//! pages and files for CI services have people type is understood.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use yaml_rust2::{Yaml, YamlLoader};

use crate::cli::{Args, parse};

const CLI: &str = include_str!("../../../docs/cli.md");

/// The pages with examples, but for docs/networking.md, all of which is run.
const PAGES: [(&str, &str); 7] = [
    ("README.md", include_str!("../../../README.md")),
    ("ci.md", include_str!("../../../docs/ci.md")),
    ("cli.md", CLI),
    ("command.md", include_str!("../../../docs/command.md")),
    ("disks.md", include_str!("../../../docs/disks.md")),
    ("performance.md", include_str!("../../../docs/performance.md")),
    ("sharing.md", include_str!("../../../docs/sharing.md")),
];

/// Files for CI services, and the keys under which they have commands.
const SERVICES: [(&str, &str, &[&str]); 2] = [
    ("github.yml", include_str!("../../../docs/ci/github.yml"), &["run"]),
    ("gitlab.yml", include_str!("../../../docs/ci/gitlab.yml"), &["before_script", "script"]),
];

/// The part of docs/cli.md about `kiln NAME`.
fn section(name: &str) -> &'static str {
    let start = CLI.find(&format!("\n## kiln {name}\n")).unwrap() + 1;
    let rest = &CLI[start..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

/// The long options in the first cells of its tables, each as `--NAME`.
fn written(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `-"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let words = cells.flat_map(|cell| cell.split(|c: char| c.is_whitespace() || "`,=".contains(c)));
    let long = words.filter_map(|word| word.strip_prefix('-').filter(|w| w.len() > 2));
    long.map(|word| format!("--{}", word.trim_start_matches('-'))).collect()
}

#[test]
fn every_option_is_in_the_page_and_none_besides() {
    let all = Args::command();
    for command in all.get_subcommands() {
        let section = section(command.get_name());
        let known: BTreeSet<String> = command
            .get_arguments()
            .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
            .collect();
        for option in &known {
            assert!(section.contains(&format!("`{option}")), "docs/cli.md has no {option}");
        }
        for short in command.get_arguments().filter_map(clap::Arg::get_short) {
            assert!(section.contains(&format!("`-{short}")), "docs/cli.md has no -{short}");
        }
        for option in written(section) {
            assert!(known.contains(&option), "docs/cli.md has {option}, and nothing else does");
        }
    }
}

#[test]
fn the_page_and_help_name_the_same_values() {
    let all = Args::command();
    for command in all.get_subcommands() {
        for argument in command.get_arguments() {
            let (Some(long), Some([value])) = (argument.get_long(), argument.get_value_names())
            else {
                continue;
            };
            if !argument.get_action().takes_values() {
                continue;
            }
            let value = value.trim_start_matches("[hvc=]").replace("...", "…");
            let optional = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
            let value = if optional { format!("[{value}]") } else { value };
            let expected = format!("`--{long} {}`", value.replace('|', "\\|"));
            let section = section(command.get_name());
            assert!(section.contains(&expected), "docs/cli.md has no {expected}");
        }
    }
}

/// Words as a shell has them, of a line without variables and patterns.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            ('>' | '<', None) => {
                // The number of what is redirected is no word.
                word = word.filter(|word| word.parse::<u32>().is_err());
                break;
            }
            ('|' | ';' | '&', None) => break,
            ('#', None) if word.is_none() => break,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.into_iter().chain(word).collect()
}

/// Checks each line of `script` that runs Kiln; returns how many there are.
fn check(place: &str, script: &str) -> usize {
    let script = script.replace("\\\n", " ");
    let mut count = 0;
    for line in script.lines() {
        let line = line.trim().trim_start_matches("$ ");
        let line = line.rsplit_once("|| ").map_or(line, |(_, last)| last);
        let line =
            line.split_once("| kiln ").map_or(line.to_owned(), |(_, rest)| format!("kiln {rest}"));
        if !line.starts_with("kiln ") || line.contains('…') || line.contains("[OPTIONS]") {
            continue;
        }
        let words = words(&line);
        // The grammar, not a command.
        if words.iter().any(|word| matches!(word.as_str(), "MATRIX" | "[--json]")) {
            continue;
        }
        let parsed = parse(words.iter().map(OsString::from));
        assert!(parsed.is_ok(), "{place}: {line}: {parsed:?}");
        count += 1;
    }
    count
}

#[test]
fn what_the_pages_have_people_type_is_understood() {
    for (name, page) in PAGES {
        let mut count = 0;
        for block in page.split("\n```sh").skip(1) {
            let block = block.split("\n```").next().unwrap();
            count += check(name, block.split_once('\n').map_or("", |(_, block)| block));
        }
        println!("{name}: {count}");
        assert!(
            count > 0 || matches!(name, "disks.md" | "performance.md"),
            "{name} has no example"
        );
    }
}

/// All texts under one of `keys`, however deep.
fn scripts<'a>(yaml: &'a Yaml, keys: &[&str], is_script: bool, found: &mut Vec<&'a str>) {
    match yaml {
        Yaml::String(text) if is_script => found.push(text),
        Yaml::Array(items) => {
            items.iter().for_each(|item| scripts(item, keys, is_script, found));
        }
        Yaml::Hash(pairs) => {
            for (key, value) in pairs {
                let is_script = key.as_str().is_some_and(|key| keys.contains(&key));
                scripts(value, keys, is_script, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_files_for_ci_services_are_read_and_their_commands_understood() {
    for (name, text, keys) in SERVICES {
        let documents = YamlLoader::load_from_str(text).unwrap();
        let [document] = &documents[..] else { panic!("{name} has {}", documents.len()) };
        let mut found = Vec::new();
        scripts(document, keys, false, &mut found);
        let count: usize = found.iter().map(|script| check(name, script)).sum();
        // The check of the host, a command, a matrix.
        assert_eq!(count, 3, "{name}: {found:?}");
        assert!(Path::new("docs/ci").join(name).exists() && PAGES[1].1.contains(name));
    }
}
