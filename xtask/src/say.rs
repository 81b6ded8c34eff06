//! Printing for whoever reads.

/// Prints a line; ends when nobody reads any more, as in `… | head`.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        let nobody_reads = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !nobody_reads {
            eprintln!("xtask: cannot print: {error}");
        }
        std::process::exit(i32::from(!nobody_reads));
    }
}

/// `println!` that does not panic when nobody reads.
macro_rules! say {
    ($($part:tt)*) => { $crate::say::print_line(format_args!($($part)*)) };
}
pub(crate) use say;
