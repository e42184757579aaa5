use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn the_environment_is_inherited_and_changed() {
    let inherited = variables(&[("PATH", "/bin"), ("TOKEN", "secret"), ("LANG", "C")]);
    let changes = [
        EnvChange::Set("LANG".into(), "de_DE".into()),
        EnvChange::Unset("TOKEN".into()),
        EnvChange::Set("NEW".into(), "".into()),
        EnvChange::Unset("ABSENT".into()),
    ];
    let expected = variables(&[("PATH", "/bin"), ("LANG", "de_DE"), ("NEW", "")]);
    assert_eq!(environment(inherited.into_iter(), &changes), expected);
}

#[test]
fn a_root_without_the_working_directory_has_the_command_start_at_its_top() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("some/where")).unwrap();
    assert_eq!(directory(root.path(), "/some/where".into()), Path::new("/some/where"));
    assert_eq!(directory(root.path(), "/else/where".into()), Path::new("/"));
    std::fs::write(root.path().join("else"), "").unwrap();
    assert_eq!(directory(root.path(), "/else/where".into()), Path::new("/"));
}
