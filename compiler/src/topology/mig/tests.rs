use std::collections::BTreeSet;

use super::*;

fn arranged(model: &str, names: &[&str]) -> Result<String, Misfit> {
    let board = Board::of(model).unwrap();
    let profiles: Vec<_> = names.iter().map(|name| board.profile(name).unwrap()).collect();
    let placed = board.arrange(&profiles)?;
    Ok(placed
        .iter()
        .map(|one| format!("{} at {}", one.profile.name, one.start))
        .collect::<Vec<_>>()
        .join(", "))
}

const A100_40: &str = "NVIDIA A100-SXM4-40GB";
const H100: &str = "NVIDIA H100 80GB HBM3";

#[test]
fn what_slices_allow_memory_may_not() {
    let names = ["1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.5gb", "1g.5gb", "1g.5gb"];
    assert_eq!(arranged(A100_40, &names), Err(Misfit::MemoryUnits(11)));
}

#[test]
fn the_order_of_a_wish_does_not_matter() {
    let placed = Ok("4g.40gb at 0, 3g.40gb at 4".to_owned());
    assert_eq!(arranged(H100, &["3g.40gb", "4g.40gb"]), placed);
    assert_eq!(arranged(H100, &["4g.40gb", "3g.40gb"]), placed);
}

#[test]
fn what_does_not_fit_says_why() {
    let board = Board::of(H100).unwrap();
    let eight = ["1g.10gb"; 8];
    assert_eq!(arranged(H100, &eight), Err(Misfit::Instances(board.profile("1g.10gb").unwrap())));
    let two = ["1g.10gb+me"; 2];
    assert_eq!(arranged(H100, &two), Err(Misfit::Instances(board.profile("1g.10gb+me").unwrap())));
    assert_eq!(arranged(H100, &["4g.40gb", "2g.20gb", "2g.20gb"]), Err(Misfit::ComputeSlices(8)));
    assert_eq!(arranged(H100, &["3g.40gb", "3g.40gb", "1g.10gb"]), Err(Misfit::MemoryUnits(9)));
    assert_eq!(
        arranged(H100, &["2g.20gb", "2g.20gb", "2g.20gb", "1g.20gb"]),
        Ok("2g.20gb at 0, 2g.20gb at 2, 2g.20gb at 4, 1g.20gb at 6".to_owned())
    );
    assert_eq!(
        arranged(H100, &["1g.20gb", "1g.20gb", "1g.20gb", "2g.20gb"]),
        Ok("2g.20gb at 0, 1g.20gb at 2, 1g.20gb at 4, 1g.20gb at 6".to_owned())
    );
}

#[test]
fn a_board_is_full_of_its_smallest() {
    for board in &boards::BOARDS {
        for profile in board.profiles {
            let all = vec![profile; usize::from(profile.most)];
            assert!(board.arrange(&all).is_ok(), "{} {}", board.models[0], profile.name);
        }
    }
}

/// Every multiset of profiles, against every choice of one place each, tried without an order or a bound.
#[test]
fn arranging_finds_exactly_what_there_is() {
    let board = Board::of(H100).unwrap();
    let mut wishes: Vec<Vec<&'static Profile>> = vec![Vec::new()];
    let mut tried = 0;
    while let Some(wish) = wishes.pop() {
        tried += 1;
        assert_eq!(board.arrange(&wish).is_ok(), is_possible(board, &wish), "{wish:?}");
        if wish.len() < 4 {
            let last =
                wish.last().map_or(0, |last| board.profiles.iter().position(|one| one == *last).unwrap());
            wishes.extend(board.profiles.iter().skip(last).map(|next| [wish.clone(), vec![next]].concat()));
        }
    }
    assert_eq!(tried, 330);
}

fn is_possible(board: &Board, wish: &[&Profile]) -> bool {
    let kinds: BTreeSet<&str> = wish.iter().map(|profile| profile.name).collect();
    let count = |kind: &str| wish.iter().filter(|profile| profile.name == kind).count();
    let enough = kinds.iter().all(|kind| count(kind) <= usize::from(board.profile(kind).unwrap().most));
    let slices: u32 = wish.iter().map(|profile| u32::from(profile.compute_slices)).sum();
    let mut taken = vec![0_u32];
    for profile in wish {
        let masks = profile.starts.iter().map(|start| ((1_u32 << profile.memory_units) - 1) << start);
        let masks: Vec<u32> = masks.collect();
        taken = taken
            .iter()
            .flat_map(|taken| {
                masks.iter().filter(move |mask| *mask & taken == 0).map(move |mask| mask | taken)
            })
            .collect();
    }
    enough && slices <= u32::from(board.compute_slices) && !taken.is_empty()
}
