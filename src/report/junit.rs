use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// A suite of tests for JUnit's XML, in the form that Jenkins, GitLab and
/// GitHub's actions read.
#[derive(Clone, Debug)]
pub struct Suite {
    /// What it is called.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long all of it took.
    pub time: Duration,
    /// Its tests.
    pub cases: Vec<Case>,
}

/// A test.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// How long it took.
    pub time: Duration,
    /// What was wrong; `None` for a success.
    pub fault: Option<Fault>,
    /// What it printed.
    pub output: String,
    /// What was said about it.
    pub remarks: String,
}

/// Why a test is no success.
#[derive(Clone, Debug)]
pub struct Fault {
    /// It could not be run, which says nothing about what was tested.
    pub is_error: bool,
    /// A word for it.
    pub kind: String,
    /// A sentence.
    pub message: String,
}

impl Suite {
    /// The document. Whatever the texts hold, it is well-formed XML 1.0.
    pub fn to_xml(&self) -> String {
        let count = |is_error| {
            let faults = self.cases.iter().filter_map(|case| case.fault.as_ref());
            faults.filter(|fault| fault.is_error == is_error).count()
        };
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\"",
            self.cases.len(),
            count(false),
            count(true),
            seconds(self.time)
        );
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<testsuites {counts}>");
        let began = humantime::format_rfc3339_seconds(self.began);
        let name = Escaped(&self.name);
        let _ = writeln!(xml, "<testsuite name=\"{name}\" {counts} timestamp=\"{began}\">");
        for case in &self.cases {
            case.write(&name, &mut xml);
        }
        xml.push_str("</testsuite>\n</testsuites>\n");
        xml
    }
}

impl Case {
    // Writing to a string cannot fail.
    fn write(&self, class: &Escaped<'_>, xml: &mut String) {
        let (name, time) = (Escaped(&self.name), seconds(self.time));
        let _ = writeln!(xml, "<testcase name=\"{name}\" classname=\"{class}\" time=\"{time}\">");
        if let Some(fault) = &self.fault {
            let element = if fault.is_error { "error" } else { "failure" };
            let (kind, message) = (Escaped(&fault.kind), Escaped(&fault.message));
            let _ = writeln!(
                xml,
                "<{element} type=\"{kind}\" message=\"{message}\">{message}</{element}>"
            );
        }
        for (element, text) in [("system-out", &self.output), ("system-err", &self.remarks)] {
            if !text.is_empty() {
                let _ = writeln!(xml, "<{element}>{}</{element}>", Escaped(text));
            }
        }
        xml.push_str("</testcase>\n");
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Text for an element or an attribute in quotation marks (XML 1.0 §2.2, §2.4).
/// Characters that no document may have, even as references, are replaced.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\r' => f.write_str("&#13;")?,
                '\t' | '\n' | ' '..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{fffd}' => {
                    f.write_char(c)?
                }
                '\u{10000}'.. => f.write_char(c)?,
                _ => f.write_char('\u{fffd}')?,
            }
        }
        Ok(())
    }
}
