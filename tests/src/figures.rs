//! The numbers that the tests measure: printed when they are known, and kept as a table in
//! `target/figures.md`, which `make test` prints at its end.

use std::{
    fmt::Write as _,
    fs,
    io::{Write as _, stderr},
    sync::Mutex,
    time::Duration,
};

use crate::{helm::repository, must::Must};

const HEAD: &str = "| Figure | Value |\n| --- | --- |\n";
/// One at a time.
static FILE: Mutex<()> = Mutex::new(());

/// Keeps a figure, and prints it past the capturing of test output.
pub fn record(name: &str, value: &str) {
    writeln!(stderr(), "figure: {name}: {value}").ok();
    let _turn = FILE.lock().must("keep a figure");
    let path = repository().join("target/figures.md");
    fs::create_dir_all(repository().join("target")).must("make the folder target");
    // Several programs of tests add to it, and a figure measured again takes the place of the old one.
    let before = fs::read_to_string(&path).unwrap_or_default();
    let others = before.lines().skip(2).filter(|line| !line.starts_with(&format!("| {name} |")));
    let mut table = others.fold(HEAD.to_owned(), |table, line| table + line + "\n");
    writeln!(table, "| {name} | {value} |").ok();
    fs::write(&path, table).must(format_args!("write {}", path.display()));
}

/// The value below which this share of the sample lies, by nearest rank.
pub fn percentile(sample: &[Duration], share: f64) -> Duration {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().must("take a percentile of nothing")
}

/// As milliseconds with one decimal.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let sample: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&sample, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&sample, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&sample[..1], 0.5), Duration::from_millis(200));
    }
}
