//! Labels where there are no annotations: Docker before 25 carries them as variables of the container.

/// What every such variable begins with.
const PREFIX: &str = "GPUPOL_LABEL_";

/// The variable that stands for a label's key: characters other than ASCII letters and digits become `_`.
#[must_use]
pub fn variable(key: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    PREFIX.chars().chain(key.chars().map(plain)).collect()
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn only_letters_and_digits_of_ascii_stay() {
        assert_eq!(variable("stage"), "GPUPOL_LABEL_stage");
        assert_eq!(variable("example.org/Größe-1"), "GPUPOL_LABEL_example_org_Gr__e_1");
    }
}
