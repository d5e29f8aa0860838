//! What was found, for people and for programs.

use std::fmt::Write as _;

use serde_json::json;

/// The answer to one question.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    NotTested,
}

/// One row of the table.
pub struct Finding {
    /// What programs know it by.
    pub id: &'static str,
    pub question: &'static str,
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
}

impl Verdict {
    fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotTested => "not tested",
        }
    }
}

pub fn failed(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count()
}

pub fn markdown(findings: &[Finding]) -> String {
    let mut text = String::from("| check | result | detail |\n|---|---|---|\n");
    for finding in findings {
        // A bar would end the cell, a line end the row.
        let detail = finding.detail.replace('|', "\\|").replace(['\r', '\n'], " ");
        let _ = writeln!(text, "| {} | {} | {detail} |", finding.question, finding.verdict.name());
    }
    let not_tested = findings.iter().filter(|finding| finding.verdict == Verdict::NotTested).count();
    let failed = failed(findings);
    let _ =
        writeln!(text, "\n{} passed, {failed} failed, {not_tested} not tested", findings.len() - failed - not_tested);
    text
}

pub fn json(findings: &[Finding]) -> String {
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (result, detail) = (finding.verdict.name(), &finding.detail);
            json!({"id": finding.id, "check": finding.question, "result": result, "detail": detail})
        })
        .collect();
    format!("{:#}\n", json!(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stays_a_table_whatever_a_server_says() {
        let finding = Finding { id: "x", question: "y", verdict: Verdict::Fail, detail: "a|b\nc".into() };
        assert!(markdown(&[finding]).contains("| y | fail | a\\|b c |\n"));
    }
}
