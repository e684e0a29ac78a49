use super::*;

/// Everything that a walk gives, with the number of entries.
fn all(root: &Path, skip: &Path, sealed: &str) -> io::Result<Vec<(String, What)>> {
    let sealed = Sealed::parse(sealed).unwrap();
    let is_sealed = |path: &[u8]| sealed.matches(path);
    let mut walker = Walker::new(root, skip, &is_sealed)?;
    let (mut batch, mut found) = (Batch::default(), vec![]);
    while walker.fill(&mut batch) {
        found.extend(batch.entries().map(|(p, w)| (String::from_utf8_lossy(p).into_owned(), w.clone())));
    }
    Ok(found)
}

fn shown(found: &[(String, What)]) -> Vec<String> {
    let kind = |what: &What| match what {
        What::File(stat) if stat.is_regular => "",
        What::File(_) => " special",
        What::Dangling(..) => " dangling",
        What::Link => " link",
        What::Below => " below",
        What::Unlisted(_) => " unlisted",
        What::Sealed => " sealed",
        What::Gone | What::Pending { .. } => " ?",
    };
    found.iter().map(|(path, what)| format!("{path}{}", kind(what))).collect()
}

fn plant(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("b/c"))?;
    fs::create_dir(root.join("db.sqk"))?;
    for name in ["b/c/2", "b-1", "a", "db.sqk/lock"] {
        fs::write(root.join(name), b"x")?;
    }
    std::os::unix::fs::symlink(root, root.join("b/loop"))?;
    std::os::unix::fs::symlink("nowhere", root.join("dangling"))?;
    fs::create_dir(root.join("z"))?;
    std::os::unix::fs::symlink(root.join("b"), root.join("a-link"))?;
    std::os::unix::fs::symlink(root.join("db.sqk"), root.join("z/db"))
}

#[test]
fn lists_in_byte_order_and_survives_loops() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path();
    plant(root)?;
    let found = all(root, &root.join("z/../db.sqk"), "")?;
    let want = [
        "a",
        "a-link link",
        "b-1",
        "b/c/2",
        "b/loop link",
        "dangling dangling",
        "z/db link",
        "a-link below",
        "b/loop below",
        "z/db below",
    ];
    assert_eq!(shown(&found), want);
    assert_eq!(count_files(root, &root.join("db.sqk"))?, 7, "a, b-1, 2, and four links by name");
    Ok(())
}

#[test]
fn a_directory_behind_two_links_is_walked_once() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("m"))?;
    let disk = dir.path().join("disk");
    fs::create_dir_all(disk.join("sub"))?;
    for name in ["1", "sub/2"] {
        fs::write(disk.join(name), b"x")?;
    }
    std::os::unix::fs::symlink(&disk, root.join("y"))?;
    std::os::unix::fs::symlink(&disk, root.join("m/x"))?;
    std::os::unix::fs::symlink(root.join("m"), disk.join("back"))?;
    let found = all(&root, &root.join("nothing"), "")?;
    let want = [
        "m/x link",
        "y link",
        "m/x below",
        "m/x/1",
        "m/x/back link",
        "m/x/sub/2",
        "m/x/back below",
        "y below",
    ];
    assert_eq!(shown(&found), want);
    Ok(())
}

#[test]
fn many_directories_and_many_files_stay_in_order() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut want = vec![];
    for number in 0..150 {
        let sub = dir.path().join(format!("d{number}/e"));
        fs::create_dir_all(&sub)?;
        fs::write(sub.join("f"), b"")?;
        fs::write(dir.path().join(format!("d{number}/e-{number}")), b"")?;
        fs::write(dir.path().join(format!("d{number}/z")), b"")?;
        want.extend([format!("d{number}/e/f"), format!("d{number}/e-{number}"), format!("d{number}/z")]);
    }
    fs::create_dir(dir.path().join("many"))?;
    for number in 0..5000 {
        fs::write(dir.path().join(format!("many/{number}")), b"")?;
        want.push(format!("many/{number}"));
    }
    want.sort();
    let found = all(dir.path(), &dir.path().join("nothing"), "")?;
    assert_eq!(shown(&found), want);
    let sealed = all(dir.path(), &dir.path().join("nothing"), "d*,many")?;
    assert_eq!(sealed.len(), 151);
    assert!(sealed.iter().all(|f| f.1 == What::Sealed));
    Ok(())
}
