//! The instructions that allow devices, put before those of the runtime's own program.
//!
//! A branch costs the verifier far more time than an instruction (about 6 microseconds against 0.35 on the host
//! where it was measured), so rules are grouped: 64 neighbouring minors of one major are one mask and two branches.
//! The block begins with two instructions that do nothing but say what it is and how long, so that a second run
//! finds the runtime's program behind it again.

use std::collections::BTreeMap;

use crate::apply::device_rule::contain::Containment;
use crate::apply::device_rule::{Access, Rule};
use crate::sys::{Insn, ProgramInfo};

/// The name of our programs, as `bpftool` shows it.
pub const NAME: &[u8] = b"gpupol";

/// The name of programs that contain.
pub const CONTAINMENT: &[u8] = b"gpupol_contain";

const MAGIC: i32 = 0x6770_756c;

const CHARACTER_DEVICE: i32 = 2;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;
const ACCESS_ALL: i32 = 7;
/// Minors in one mask are told apart by their low bits.
const MASK_BITS: u32 = 6;
/// A key is the major number and the high bits of the minor number, which has 20 bits.
const KEY_SHIFT: u32 = 20 - MASK_BITS;

const LOAD_WORD: u8 = 0x61;
const LOAD_DOUBLE: u8 = 0x18;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const OR_REGISTER: u8 = 0x4f;
const SHIFT_LEFT: u8 = 0x67;
const SHIFT_RIGHT: u8 = 0x77;
const SHIFT_RIGHT_REGISTER: u8 = 0x7f;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// The result, and what a rule works with.
const R0: u8 = 0;
/// The context; it must be untouched when the runtime's own program begins.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const KEY: u8 = 4;
const BIT: u8 = 5;

/// Minors of one key, as bits.
type Masks = BTreeMap<u32, u64>;

/// A program that allows what the rules say and leaves everything else to `original`.
#[must_use]
pub fn build(rules: &[Rule], original: &[Insn]) -> Vec<Insn> {
    let mut groups: Vec<Vec<Insn>> =
        masks(rules).into_iter().map(|(access, masks)| group(access, &masks)).collect();
    let body: usize = groups.iter().map(Vec::len).sum();
    let mut program = head(body);
    for group in &mut groups {
        program.append(group);
    }
    program.extend_from_slice(original);
    program
}

/// A program that denies GPUs beyond the container's own, and allows everything else.
#[must_use]
pub fn contain(containment: &Containment) -> Vec<Insn> {
    const MAJOR: u8 = KEY;
    const MINOR: u8 = BIT;
    let answer = |allowed: i32| [immediate(MOVE, R0, allowed), immediate(EXIT, R0, 0)];
    let mut program = vec![
        load_word(KIND, 0),
        immediate(AND, KIND, 0xffff),
        load_word(MAJOR, 4),
        load_word(MINOR, 8),
        branch(JUMP_EQUAL, KIND, CHARACTER_DEVICE, 2),
    ];
    program.extend(answer(1));
    for (major, minor) in &containment.own {
        program.push(branch(JUMP_NOT_EQUAL, MAJOR, major.cast_signed(), 3));
        program.push(branch(JUMP_NOT_EQUAL, MINOR, minor.cast_signed(), 2));
        program.extend(answer(1));
    }
    for major in &containment.majors {
        program.push(branch(JUMP_NOT_EQUAL, MAJOR, major.cast_signed(), 2));
        program.extend(answer(0));
    }
    program.extend(answer(1));
    program
}

/// The runtime's own instructions in a program that is attached now, which may be one of ours.
#[must_use]
pub fn original(info: &ProgramInfo) -> &[Insn] {
    match info.instructions.as_slice() {
        [magic, length, ..] if info.name == NAME && *magic == immediate(MOVE, R0, MAGIC) => {
            usize::try_from(length.immediate)
                .ok()
                .filter(|_| length.code == MOVE)
                .and_then(|length| info.instructions.get(length..))
                .filter(|rest| !rest.is_empty())
                .unwrap_or(&info.instructions)
        }
        all => all,
    }
}

fn masks(rules: &[Rule]) -> BTreeMap<Access, Masks> {
    let mut masks: BTreeMap<Access, Masks> = BTreeMap::new();
    for rule in rules {
        let key = (rule.major << KEY_SHIFT) | (rule.minor >> MASK_BITS);
        let bit = 1_u64 << (rule.minor & ((1 << MASK_BITS) - 1));
        *masks.entry(rule.access).or_default().entry(key).or_default() |= bit;
    }
    masks
}

/// Says what the block is, leaves unless a character device is meant, and takes apart what is asked.
fn head(body: usize) -> Vec<Insn> {
    const LENGTH: usize = 15;
    let total = i32::try_from(body.saturating_add(LENGTH)).unwrap_or(i32::MAX);
    // The branch stands at 5, and jumps count from the instruction after them.
    let to_end = jump_offset(body.saturating_add(LENGTH).saturating_sub(6));
    vec![
        immediate(MOVE, R0, MAGIC),
        immediate(MOVE, R0, total),
        load_word(KIND, 0),
        register(MOVE_REGISTER, ACCESS, KIND),
        immediate(AND, KIND, 0xffff),
        branch(JUMP_NOT_EQUAL, KIND, CHARACTER_DEVICE, to_end),
        immediate(SHIFT_RIGHT, ACCESS, 16),
        load_word(KEY, 4),
        load_word(BIT, 8),
        immediate(SHIFT_LEFT, KEY, KEY_SHIFT.cast_signed()),
        register(MOVE_REGISTER, R0, BIT),
        immediate(SHIFT_RIGHT, R0, MASK_BITS.cast_signed()),
        register(OR_REGISTER, KEY, R0),
        immediate(AND, BIT, (1 << MASK_BITS) - 1),
        immediate(AND, ACCESS, ACCESS_ALL),
    ]
}

/// The devices with one kind of access: skipped when more is asked, else allowed if their bit is set.
fn group(access: Access, masks: &Masks) -> Vec<Insn> {
    const OF_MASK: usize = 7;
    let allowed = if access.read { ACCESS_READ } else { 0 } | if access.write { ACCESS_WRITE } else { 0 };
    let to_next = jump_offset(masks.len().saturating_mul(OF_MASK));
    let mut group = vec![
        register(MOVE_REGISTER, R0, ACCESS),
        immediate(AND, R0, ACCESS_ALL & !allowed),
        branch(JUMP_NOT_EQUAL, R0, 0, to_next),
    ];
    for (key, mask) in masks {
        group.extend(allow_mask(*key, *mask));
    }
    group
}

fn allow_mask(key: u32, mask: u64) -> [Insn; 7] {
    let (low, high) = ((mask & u64::from(u32::MAX)) as u32, (mask >> 32) as u32);
    [
        branch(JUMP_NOT_EQUAL, KEY, key.cast_signed(), 6),
        immediate(LOAD_DOUBLE, R0, low.cast_signed()),
        immediate(0, 0, high.cast_signed()),
        register(SHIFT_RIGHT_REGISTER, R0, BIT),
        immediate(AND, R0, 1),
        branch(JUMP_EQUAL, R0, 0, 1),
        immediate(EXIT, R0, 0),
    ]
}

/// A jump that does not fit is one to nowhere, which the kernel refuses to load.
fn jump_offset(instructions: usize) -> i16 {
    i16::try_from(instructions).unwrap_or(i16::MAX)
}

fn immediate(code: u8, destination: u8, immediate: i32) -> Insn {
    Insn { code, registers: destination, offset: 0, immediate }
}

fn register(code: u8, destination: u8, source: u8) -> Insn {
    Insn { code, registers: destination | (source << 4), offset: 0, immediate: 0 }
}

fn load_word(destination: u8, offset: i16) -> Insn {
    Insn { code: LOAD_WORD, registers: destination | (CONTEXT << 4), offset, immediate: 0 }
}

fn branch(code: u8, destination: u8, immediate: i32, offset: i16) -> Insn {
    Insn { code, registers: destination, offset, immediate }
}
