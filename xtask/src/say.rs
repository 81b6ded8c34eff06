//! Printing to standard output without a panic when the reader has closed the pipe.

/// Prints a line. Ends the program if the reader has closed the pipe, as in `… | head`.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        let is_pipe_closed = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !is_pipe_closed {
            eprintln!("xtask: cannot print: {error}");
        }
        std::process::exit(i32::from(!is_pipe_closed));
    }
}

/// Prints like `println!`, but does not panic on a closed pipe.
macro_rules! say {
    ($($part:tt)*) => { $crate::say::print_line(format_args!($($part)*)) };
}
pub(crate) use say;
