use crate::Outcome;
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}
#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {}
pub(crate) fn run(_: &Arguments) -> Outcome { Ok(()) }
pub(crate) fn test(_: &TestArguments) -> Outcome { Ok(()) }
