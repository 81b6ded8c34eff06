//! Damages a state file. The program must refuse it, or read it without any difference.

use std::path::Path;
use std::time::Instant;

use super::Run;
use super::program::{Program, run_to_end};

/// Length of a page of the state file, in bytes.
const PAGE: usize = 4096;

pub(super) fn damage_state(run: &mut Run, end: Instant) -> Result<(), String> {
    let folder = run.folder.path().join("damage");
    let text = |path: &Path| path.to_str().unwrap_or_default().to_owned();
    let io = |error: std::io::Error| error.to_string();
    let (origin, copy) = (folder.join("origin"), folder.join("copy"));
    if !Program::start(run, &["--state-dir", &text(&origin)])?.stop() {
        return Err("the program did not end on request".to_owned());
    }
    let intact = std::fs::read(origin.join("state.redb")).map_err(io)?;
    let exported = export(run, &origin).ok_or("the export of the intact state takes too long")?.1;
    std::fs::create_dir_all(&copy).map_err(io)?;
    while Instant::now() < end {
        let damaged = damaged(run, &intact);
        let file = copy.join("state.redb");
        std::fs::write(&file, &damaged).map_err(io)?;
        make_private(&file).map_err(io)?;
        run.report.damaged_files += 1;
        let Some((code, stdout, stderr)) = export(run, &copy) else {
            run.report.violation("damaged state: the export does not end".to_owned());
            continue;
        };
        match code {
            Some(0) if stdout == exported => {}
            Some(1) if stderr.contains("damaged") && !stderr.contains("panicked at") => run.report.refused_files += 1,
            _ => run.report.violation(format!("damaged state: exit code {code:?}, {} bytes, {stderr}", stdout.len())),
        }
        if std::fs::read(&file).map_err(io)? != damaged {
            run.report.violation("damaged state: the file was changed".to_owned());
        }
    }
    std::fs::remove_dir_all(&folder).map_err(io)
}

fn export(run: &Run, folder: &Path) -> Option<(Option<i32>, Vec<u8>, String)> {
    run_to_end(&run.plan.program, &["state", "export", "--state-dir", folder.to_str().unwrap_or_default()])
}

/// Returns a copy with flipped bits, a missing end, a page of zeros, or two exchanged pages.
fn damaged(run: &Run, intact: &[u8]) -> Vec<u8> {
    let mut bytes = intact.to_vec();
    let page = |run: &Run| run.below(intact.len() / PAGE) * PAGE;
    match run.below(4) {
        0 => {
            for _ in 0..=run.below(8) {
                let at = run.below(bytes.len());
                bytes[at] ^= 1 << run.below(8);
            }
        }
        1 => bytes.truncate(run.below(intact.len())),
        2 => {
            let at = page(run);
            bytes[at..at + PAGE].fill(0);
        }
        _ => {
            let (one, other) = (page(run), page(run));
            bytes[one..one + PAGE].copy_from_slice(&intact[other..other + PAGE]);
            bytes[other..other + PAGE].copy_from_slice(&intact[one..one + PAGE]);
        }
    }
    bytes
}

#[cfg(unix)]
fn make_private(file: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}
