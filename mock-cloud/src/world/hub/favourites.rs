//! Favourites.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::maintenance::{FavoriteList, FavoriteQuery, FavoriteSet, Favorites};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;

use super::dispatch::{Answer, done};
use super::{Context, Hub, MAX_FAVORITES};

impl Hub {
    pub(super) fn favorites_list(&self, query: FavoriteQuery, _: &Context<'_>) -> Answer<FavoriteList> {
        let asked = |name: &str| query.request.get().is_none_or(|request| request.iter().any(|asked| asked == name));
        let [devices, items, rules] = [0, 1, 2].map(|at| {
            let list = || self.favorites[at].clone();
            Field::from(asked(FAVORITE_LISTS[at]).then(list))
        });
        let favorites = Favorites { devices, items, rules, ..Favorites::default() };
        Ok(FavoriteList { favorites: favorites.into(), ..FavoriteList::default() })
    }

    pub(super) fn favorites_set(&mut self, wish: FavoriteSet, context: &mut Context<'_>) -> Answer<Empty> {
        let marked = [&wish.devices, &wish.items, &wish.rules].map(|marks| marks.get().into_iter().flatten());
        let [mut devices, mut items, mut rules] = marked;
        let known = devices.all(|mark| self.devices.contains_key(mark.id.as_str()))
            && items.all(|mark| self.items.contains_key(mark.id.as_str()))
            && rules.all(|mark| self.scenes.contains_key(mark.id.as_str()));
        if !known {
            return Err(RpcError::known("generic.object.not.found"));
        }
        let (mut came, mut went) = (FavoriteLists::default(), FavoriteLists::default());
        for (at, marks) in [wish.devices, wish.items, wish.rules].iter().enumerate() {
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
        tell("hub.favorite.added", came, context);
        tell("hub.favorite.removed", went, context);
        done()
    }

    /// What is gone is no favourite.
    pub(super) fn forget_favorites(&mut self, gone: [Vec<String>; 3], context: &mut Context<'_>) {
        let mut went = FavoriteLists::default();
        for ((list, gone), went) in self.favorites.iter_mut().zip(gone).zip(&mut went) {
            went.extend(list.extract_if(.., |id| gone.contains(id)));
        }
        tell("hub.favorite.removed", went, context);
    }
}
/// Devices, items and scenes, by id.
pub(super) type FavoriteLists = [Vec<String>; 3];

const FAVORITE_LISTS: [&str; 3] = ["devices", "items", "rules"];

fn tell(name: &'static str, lists: FavoriteLists, context: &mut Context<'_>) {
    if lists.iter().any(|list| !list.is_empty()) {
        let [devices, items, rules] = lists.map(|list| Field::from((!list.is_empty()).then_some(list)));
        context.broadcast(name, &Favorites { devices, items, rules, ..Favorites::default() });
    }
}
