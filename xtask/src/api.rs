//! `cargo xtask api`: lists the public interface of each library in `fixtures/api`, so that a diff shows every change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Visibility};

use crate::say::say;
use crate::{Failure, Outcome, root};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Report whether the lists are up to date, and write nothing.
    #[arg(long)]
    pub(crate) check: bool,
}

/// The published libraries.
const LIBRARIES: &[&str] = &[
    "crates/ezlo-protocol",
    "crates/ezlo-hub-sim",
    "crates/ezlo-mms",
    "crates/ezlo-relay",
    "crates/ezlo-onboarding",
    "crates/ezlo",
    "mock-cloud",
];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut stale = Vec::new();
    for library in LIBRARIES {
        let name = library.rsplit('/').next().unwrap_or(library);
        let mut found = Found::default();
        let source = root().join(library).join("src");
        read_module(&source.join("lib.rs"), &source, name, &mut found)?;
        let text = found.lines().join("\n") + "\n";
        let path = root().join("fixtures/api").join(format!("{name}.txt"));
        if fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
            if !arguments.check {
                fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
        }
    }
    match (stale.is_empty(), arguments.check) {
        (true, _) => say!("api: the lists are up to date"),
        (false, false) => say!("api: wrote {}", stale.join(", ")),
        (false, true) => {
            return Err(Failure(format!(
                "the public interface of {} has changed; run `cargo xtask api`, review the diff and commit it",
                stale.join(", ")
            )));
        }
    }
    Ok(())
}

/// Macros that define public types. Their arguments are listed as the interface.
const TABLES: &[&str] = &["wire", "open_enum", "opaque_id", "secret", "errors", "methods", "broadcasts", "blocks"];

/// The items of a library, collected before it is known which types are private.
#[derive(Default)]
struct Found {
    /// Lines, each with the name of the type that it belongs to, if any.
    lines: Vec<(Option<String>, String)>,
    public: BTreeSet<String>,
    private: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, path: &str, text: &str) {
        self.lines.push((None, format!("{path}  {text}")));
    }

    /// Records the name of a type as public or private.
    fn name(&mut self, name: &syn::Ident, visibility: &Visibility) {
        let names = if is_public(visibility) { &mut self.public } else { &mut self.private };
        names.insert(name.to_string());
    }

    /// Returns the sorted lines without those of private types.
    fn lines(self) -> Vec<String> {
        let hidden = |owner: &String| self.private.contains(owner) && !self.public.contains(owner);
        let shown = self.lines.iter().filter(|(owner, _)| !owner.as_ref().is_some_and(hidden));
        let mut lines: Vec<String> = shown.map(|(_, line)| line.clone()).collect();
        lines.sort();
        lines.dedup();
        lines
    }
}

/// Reads a file and the modules that it declares, except test modules.
fn read_module(file: &Path, folder: &Path, path: &str, found: &mut Found) -> Outcome {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let parsed = syn::parse_file(&text).map_err(|error| format!("cannot parse {}: {error}", file.display()))?;
    for item in parsed.items {
        if let Item::Mod(module) = &item
            && module.content.is_none()
        {
            if is_test(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let (file, below) = module_file(folder, &name);
            read_module(&file, &below, &format!("{path}::{name}"), found)?;
        }
        list(item, path, found);
    }
    Ok(())
}

fn module_file(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let below = folder.join(name);
    let flat = folder.join(format!("{name}.rs"));
    if flat.exists() { (flat, below) } else { (below.join("mod.rs"), below) }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && text_of(attribute).contains("test"))
}

/// Removes the attributes that do not affect the interface.
fn strip(attributes: &mut Vec<Attribute>) {
    let kept = ["non_exhaustive", "must_use", "deprecated", "cfg"];
    attributes.retain(|attribute| kept.iter().any(|name| attribute.path().is_ident(name)));
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn list(item: Item, path: &str, found: &mut Found) {
    match &item {
        Item::Struct(item) => found.name(&item.ident, &item.vis),
        Item::Enum(item) => found.name(&item.ident, &item.vis),
        _ => {}
    }
    let mut add = |text: String| found.add(path, &text);
    match item {
        Item::Fn(function) if is_public(&function.vis) => add(format!("pub {}", text_of(&function.sig))),
        Item::Struct(mut item) if is_public(&item.vis) => {
            strip(&mut item.attrs);
            strip_fields(&mut item.fields);
            add(text_of(&item));
        }
        Item::Enum(mut item) if is_public(&item.vis) => {
            strip(&mut item.attrs);
            for variant in &mut item.variants {
                strip(&mut variant.attrs);
                for field in &mut variant.fields {
                    strip(&mut field.attrs);
                }
            }
            add(text_of(&item));
        }
        Item::Trait(mut item) if is_public(&item.vis) => {
            strip(&mut item.attrs);
            for member in &mut item.items {
                if let TraitItem::Fn(function) = member {
                    strip(&mut function.attrs);
                    function.default = None;
                }
            }
            add(text_of(&item));
        }
        Item::Const(item) if is_public(&item.vis) => add(format!("pub const {}: {}", item.ident, text_of(&item.ty))),
        Item::Type(mut item) if is_public(&item.vis) => {
            strip(&mut item.attrs);
            add(text_of(&item));
        }
        Item::Use(mut item) if is_public(&item.vis) => {
            strip(&mut item.attrs);
            add(text_of(&item));
        }
        Item::Mod(item) if is_public(&item.vis) => add(format!("pub mod {}", item.ident)),
        Item::Impl(item) if !is_test(&item.attrs) => list_impl(&item, path, found),
        Item::Macro(item) if TABLES.iter().any(|name| item.mac.path.is_ident(name)) => {
            add(format!("{}! {}", text_of(&item.mac.path), without_docs(&item.mac.tokens.to_string())));
        }
        _ => {}
    }
}

fn strip_fields(fields: &mut Fields) {
    if let Fields::Named(named) = fields {
        let private = named.named.iter().any(|field| !is_public(&field.vis));
        named.named = std::mem::take(&mut named.named).into_iter().filter(|field| is_public(&field.vis)).collect();
        for field in &mut named.named {
            strip(&mut field.attrs);
        }
        if private {
            let hidden: syn::FieldsNamed = syn::parse_quote!({ private: Private });
            named.named.extend(hidden.named);
        }
    }
}

fn list_impl(item: &syn::ItemImpl, path: &str, found: &mut Found) {
    let self_type = text_of(&item.self_ty);
    let name = match &*item.self_ty {
        syn::Type::Path(named) => named.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    let mut add = |text: String| found.lines.push((name.clone(), format!("{path}  {text}")));
    if let Some((_, of, _)) = &item.trait_ {
        add(format!("impl {} for {self_type}", text_of(of)));
        return;
    }
    for member in &item.items {
        match member {
            ImplItem::Fn(function) if is_public(&function.vis) => {
                add(format!("{self_type}: pub {}", text_of(&function.sig)));
            }
            ImplItem::Const(constant) if is_public(&constant.vis) => {
                add(format!("{self_type}: pub const {}: {}", constant.ident, text_of(&constant.ty)));
            }
            _ => {}
        }
    }
}

fn text_of(tokens: &impl ToTokens) -> String {
    tidy(&tokens.to_token_stream().to_string())
}

/// Removes documentation attributes.
fn without_docs(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("#[doc =").or_else(|| rest.find("# [doc =")) {
        kept.push_str(&rest[..start]);
        rest = end_of_doc(&rest[start..]);
    }
    kept.push_str(rest);
    tidy(&kept)
}

/// Returns the text after a documentation attribute. Its value is a string literal and may contain escapes.
fn end_of_doc(text: &str) -> &str {
    let Some(open) = text.find('"') else { return "" };
    let mut escaped = false;
    for (at, character) in text[open + 1..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return text[open + 1 + at + 1..].trim_start().strip_prefix(']').unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

/// Removes the spaces that the token printer adds, so that the text reads like source code.
fn tidy(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (from, to) in [
        (" :: ", "::"),
        (" ::", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" > ", "> "),
        (" >", ">"),
        (" ,", ","),
        (" ;", ";"),
        (" : ", ": "),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        ("& ", "&"),
        (" [", "["),
        ("# [", "#["),
        (" ?", "?"),
        ("' ", "'"),
        (",)", ")"),
        ("->", " -> "),
        ("  ", " "),
        ("- >", "->"),
    ] {
        text = text.replace(from, to);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(source: &str) -> Vec<String> {
        let mut found = Found::default();
        for item in syn::parse_file(source).expect("source").items {
            list(item, "c", &mut found);
        }
        found.lines()
    }

    #[test]
    fn only_public_items_are_listed() {
        let source = r#"
            /// Doc.
            #[derive(Debug)] #[non_exhaustive] pub struct S { /// Doc.
                pub a: Option<u8>, b: u8 }
            struct Hidden;
            impl Drop for Hidden { fn drop(&mut self) {} }
            impl Hidden { pub fn f() {} }
            impl S { pub fn f(&self, x: &str) -> Result<(), Error> { body() } fn g() {} }
            impl Display for S { fn fmt(&self) {} }
            wire! { /** Says "]". */ Name { /// Doc.
                field: Field<String> = "x" } }
        "#;
        assert_eq!(
            listed(source),
            [
                "c  #[non_exhaustive] pub struct S { pub a: Option<u8>, private: Private }",
                "c  S: pub fn f(&self, x: &str) -> Result<(), Error>",
                "c  impl Display for S",
                "c  wire! Name { field: Field<String> = \"x\" }",
            ]
        );
    }
}
