//! The import graph of a crate's modules: cycles, and layers that modules must not import upwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Most files of an import cycle. A parent and its children may import each other; any other cycle is an error.
const MAX_CYCLE: usize = 3;

/// A module path without `crate`, such as `["world", "tokens"]`; the crate root is empty.
type Module = Vec<String>;

/// Imports between the files of one crate.
pub(crate) struct ImportGraph {
    files: BTreeMap<Module, PathBuf>,
    /// For each module, the modules it imports, each with one of the paths that do so.
    edges: BTreeMap<Module, BTreeMap<Module, String>>,
}

impl ImportGraph {
    /// Parses all files below a crate's `src`, without tests.
    pub(crate) fn read(src: &Path) -> Result<Self, String> {
        let mut paths = Vec::new();
        super::collect(src, "rs", &mut paths);
        let mut files = BTreeMap::new();
        let mut parsed = BTreeMap::new();
        for path in paths {
            let module = module_of(src, &path);
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            if module.last().is_none_or(|name| name != "bin") {
                parsed.insert(module.clone(), file);
                files.insert(module, path);
            }
        }
        let tests: BTreeSet<Module> = parsed.iter().flat_map(|(module, file)| test_modules(module, file)).collect();
        let is_test = |module: &Module| tests.iter().any(|test| module.starts_with(test));
        files.retain(|module, _| !is_test(module));
        let mut edges = BTreeMap::new();
        for (module, file) in parsed.iter().filter(|(module, _)| !is_test(module)) {
            let mut imports = Imports { module, files: &files, found: BTreeMap::new() };
            imports.visit_file(file);
            edges.insert(module.clone(), imports.found);
        }
        Ok(Self { files, edges })
    }

    /// Describes every import cycle that is not one parent module with at most two of its children.
    pub(crate) fn cycles(&self) -> Vec<String> {
        let components = self.components();
        let cycles = components.iter().filter(|component| component.len() > 1 && !is_family(component));
        cycles.map(|cycle| self.describe(cycle)).collect()
    }

    /// Describes every import from a lower layer to a higher one. Layers are listed from the lowest, each with its modules.
    /// A module belongs to the layer with the longest matching name.
    pub(crate) fn upward(&self, layers: &[&[&str]]) -> Vec<String> {
        let mut faults = Vec::new();
        for (from, imports) in &self.edges {
            let Some(own) = layer_of(layers, from) else {
                if !from.is_empty() {
                    faults.push(format!("{}: module is in no layer", self.name(from)));
                }
                continue;
            };
            for (to, path) in imports {
                if let Some(other) = layer_of(layers, to).filter(|other| *other > own) {
                    let (from, to) = (self.name(from), self.name(to));
                    faults.push(format!("{from} (layer {own}) imports {to} (layer {other}): {path}"));
                }
            }
        }
        faults
    }

    /// Strongly connected components, by Tarjan's algorithm.
    fn components(&self) -> Vec<Vec<Module>> {
        let mut search = Search { graph: self, next: 0, index: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
        for module in self.files.keys() {
            if !search.index.contains_key(module) {
                search.visit(module);
            }
        }
        search.found
    }

    fn name(&self, module: &Module) -> String {
        self.files.get(module).map_or_else(|| module.join("::"), |path| super::name(path))
    }

    fn describe(&self, cycle: &[Module]) -> String {
        let mut lines =
            vec![format!("import cycle of {} files; at most {MAX_CYCLE}, a parent and children:", cycle.len())];
        for from in cycle {
            for (to, path) in self.edges.get(from).into_iter().flatten().filter(|(to, _)| cycle.contains(to)) {
                lines.push(format!("    {} -> {}: {path}", self.name(from), self.name(to)));
            }
        }
        lines.join("\n")
    }
}

/// State of the search for components.
struct Search<'a> {
    graph: &'a ImportGraph,
    next: usize,
    /// Index and lowest reachable index of each visited module.
    index: BTreeMap<Module, (usize, usize)>,
    stack: Vec<Module>,
    found: Vec<Vec<Module>>,
}

impl Search<'_> {
    fn visit(&mut self, module: &Module) -> usize {
        let own = self.next;
        self.next += 1;
        self.index.insert(module.clone(), (own, own));
        self.stack.push(module.clone());
        let mut low = own;
        for to in self.graph.edges.get(module).into_iter().flat_map(BTreeMap::keys) {
            match self.index.get(to) {
                None => low = low.min(self.visit(to)),
                Some((index, _)) if self.stack.contains(to) => low = low.min(*index),
                Some(_) => {}
            }
        }
        self.index.insert(module.clone(), (own, low));
        if low == own {
            let from = self.stack.iter().position(|entry| entry == module).unwrap_or_default();
            self.found.push(self.stack.split_off(from));
        }
        low
    }
}

/// Returns `true` if a component is one module with at most two of its own children.
fn is_family(component: &[Module]) -> bool {
    let is_parent = |parent: &Module| {
        component.iter().all(|module| {
            module == parent || module.len() == parent.len() + 1 && module.starts_with(parent) && !parent.is_empty()
        })
    };
    component.len() <= MAX_CYCLE && component.iter().any(is_parent)
}

fn layer_of(layers: &[&[&str]], module: &Module) -> Option<usize> {
    let path = module.join("::");
    let matches = |name: &str| path == name || path.starts_with(&format!("{name}::"));
    let named = layers.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (name.len(), at, *name)));
    named.filter(|(_, _, name)| matches(name)).max().map(|(_, at, _)| at)
}

fn module_of(src: &Path, path: &Path) -> Module {
    let relative = path.strip_prefix(src).unwrap_or(path).with_extension("");
    let mut names: Module = relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if matches!(names.last().map(String::as_str), Some("lib" | "main")) && names.len() == 1 {
        names.clear();
    }
    names
}

/// Returns the modules that a file declares for tests only.
fn test_modules(module: &Module, file: &syn::File) -> Vec<Module> {
    let declared = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(inner) if is_for_tests(&inner.attrs) => Some(&inner.ident),
        _ => None,
    });
    declared.map(|name| [module.as_slice(), &[name.to_string()]].concat()).collect()
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Collects the modules that a file imports or names.
struct Imports<'a> {
    module: &'a Module,
    files: &'a BTreeMap<Module, PathBuf>,
    found: BTreeMap<Module, String>,
}

impl Imports<'_> {
    fn add(&mut self, segments: &[String]) {
        let Some(target) = self.resolve(segments) else { return };
        if target != *self.module && !target.is_empty() {
            self.found.entry(target).or_insert_with(|| segments.join("::"));
        }
    }

    /// Returns the module that contains a path: its longest prefix that is a file.
    fn resolve(&self, segments: &[String]) -> Option<Module> {
        let first = segments.first()?.as_str();
        let mut absolute: Module = match first {
            "crate" => segments[1..].to_vec(),
            "self" => [self.module.as_slice(), &segments[1..]].concat(),
            "super" => {
                let levels = segments.iter().take_while(|segment| *segment == "super").count();
                let base = self.module.get(..self.module.len().checked_sub(levels)?)?;
                [base, &segments[levels..]].concat()
            }
            _ => {
                let child = [self.module.as_slice(), &segments[..1]].concat();
                if !self.files.contains_key(&child) {
                    return None;
                }
                [self.module.as_slice(), segments].concat()
            }
        };
        while !self.files.contains_key(&absolute) {
            absolute.pop()?;
        }
        Some(absolute)
    }

    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => self.add(prefix),
            syn::UseTree::Name(name) => self.add(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.add(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.add(prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // An inline module belongs to its file; its own `super` paths stay inside.
        if !is_for_tests(&item.attrs) && item.content.is_none() {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 && matches!(segments[0].as_str(), "crate" | "super" | "self") {
            self.add(&segments);
        }
        syn::visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> ImportGraph {
        let split = |path: &str| -> Module {
            if path.is_empty() { Vec::new() } else { path.split("::").map(str::to_owned).collect() }
        };
        let names: BTreeMap<Module, PathBuf> =
            files.iter().map(|(path, _)| (split(path), PathBuf::from(path))).collect();
        let edges = files.iter().map(|(path, text)| {
            let module = split(path);
            let file = syn::parse_file(text).unwrap();
            let mut imports = Imports { module: &module, files: &names, found: BTreeMap::new() };
            imports.visit_file(&file);
            (module.clone(), imports.found)
        });
        let edges = edges.collect();
        ImportGraph { files: names, edges }
    }

    #[test]
    fn cycle_of_siblings_is_found() {
        let siblings = graph(&[("a", "use crate::b::B;"), ("b", "fn f() { crate::a::g() }")]);
        assert_eq!(siblings.cycles().len(), 1);
        assert!(siblings.cycles()[0].contains("a -> b: crate::b::B"), "{:?}", siblings.cycles());
    }

    #[test]
    fn parent_and_child_may_import_each_other() {
        let family = graph(&[("a", "use b::B;"), ("a::b", "use super::A;")]);
        assert!(family.cycles().is_empty());
    }

    #[test]
    fn upward_import_is_found_and_tests_do_not_count() {
        let layers: &[&[&str]] = &[&["low"], &["high"]];
        let up = graph(&[("low", "use crate::high::X;"), ("high", "use crate::low::Y;")]);
        assert_eq!(up.upward(layers), ["low (layer 0) imports high (layer 1): crate::high::X"]);
        let tested = graph(&[("low", "#[cfg(test)] mod tests { use crate::high::X; }"), ("high", "")]);
        assert!(tested.upward(layers).is_empty());
        assert_eq!(graph(&[("other", "")]).upward(layers), ["other: module is in no layer"]);
    }
}
