//! Older names of methods.

/// Older names of methods that hubs still accept, each with the current name.
pub const ALIASES: &[(&str, &str)] = &[
    ("extensions.plugin.run", "hub.extensions.plugin.run"),
    // The names of groups from November 2022 to early 2023 (d22).
    ("hub.scenes.device.groups.list", "hub.device.groups.list"),
    ("hub.scenes.device.group.create", "hub.device.group.create"),
    ("hub.scenes.device.group.get", "hub.device.group.get"),
    ("hub.scenes.device.group.update", "hub.device.group.update"),
    ("hub.scenes.device.group.delete", "hub.device.group.delete"),
    ("hub.scenes.item.groups.list", "hub.item.groups.list"),
    ("hub.scenes.item.group.create", "hub.item.group.create"),
    ("hub.scenes.item.group.get", "hub.item.group.get"),
    ("hub.scenes.item.group.update", "hub.item.group.update"),
    ("hub.scenes.item.group.delete", "hub.item.group.delete"),
];

/// Returns the current name of a method. Names without an alias are returned unchanged.
pub fn current_name(name: &str) -> &str {
    ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, now)| now)
}
