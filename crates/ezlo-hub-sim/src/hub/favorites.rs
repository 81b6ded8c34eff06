//! Favourite devices, items and scenes.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::maintenance::{FavoriteList, FavoriteQuery, FavoriteSet, Favorites};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;

use crate::answer::{Answer, done};
use crate::context::Context;
use crate::hub::{Hub, MAX_FAVORITES};
use crate::state::FavoriteLists;

impl Hub {
    pub(crate) fn favorites_list(&self, query: FavoriteQuery, _: &Context<'_>) -> Answer<FavoriteList> {
        let asked = |name: &str| query.request.get().is_none_or(|request| request.iter().any(|asked| asked == name));
        let [devices, items, rules] = [0, 1, 2].map(|at| {
            let list = || self.favorites[at].clone();
            Field::from(asked(FAVORITE_LISTS[at]).then(list))
        });
        let favorites = Favorites { devices, items, rules, ..Favorites::default() };
        Ok(FavoriteList { favorites: favorites.into(), ..FavoriteList::default() })
    }

    pub(crate) fn favorites_set(&mut self, request: FavoriteSet, context: &mut Context<'_>) -> Answer<Empty> {
        let marked = [&request.devices, &request.items, &request.rules].map(|marks| marks.get().into_iter().flatten());
        let [mut devices, mut items, mut rules] = marked;
        let known = devices.all(|mark| self.devices.contains_key(mark.id.as_str()))
            && items.all(|mark| self.items.contains_key(mark.id.as_str()))
            && rules.all(|mark| self.scenes.contains_key(mark.id.as_str()));
        if !known {
            return Err(RpcError::known("generic.object.not.found"));
        }
        let (mut came, mut went) = (FavoriteLists::default(), FavoriteLists::default());
        for (at, marks) in [request.devices, request.items, request.rules].iter().enumerate() {
            for mark in marks.get().into_iter().flatten() {
                let wanted = mark.favorite.get().copied().unwrap_or(true);
                let list = &mut self.favorites[at];
                match (wanted, list.iter().position(|id| *id == mark.id)) {
                    (true, None) if list.len() < MAX_FAVORITES => {
                        list.push(mark.id.clone());
                        came[at].push(mark.id.clone());
                    }
                    (false, Some(found)) => {
                        list.remove(found);
                        went[at].push(mark.id.clone());
                    }
                    _ => {}
                }
            }
        }
        broadcast_lists("hub.favorite.added", came, context);
        broadcast_lists("hub.favorite.removed", went, context);
        done()
    }

    /// Removes deleted devices, items and scenes from the lists, in this order, and broadcasts it.
    pub(crate) fn forget_favorites(&mut self, gone: [Vec<String>; 3], context: &mut Context<'_>) {
        let mut went = FavoriteLists::default();
        for ((list, gone), went) in self.favorites.iter_mut().zip(gone).zip(&mut went) {
            went.extend(list.extract_if(.., |id| gone.contains(id)));
        }
        broadcast_lists("hub.favorite.removed", went, context);
    }
}

/// Names of the lists in requests; the vendor calls scenes rules.
const FAVORITE_LISTS: [&str; 3] = ["devices", "items", "rules"];

fn broadcast_lists(name: &'static str, lists: FavoriteLists, context: &mut Context<'_>) {
    if lists.iter().any(|list| !list.is_empty()) {
        let [devices, items, rules] = lists.map(|list| Field::from((!list.is_empty()).then_some(list)));
        context.broadcast(name, &Favorites { devices, items, rules, ..Favorites::default() });
    }
}
