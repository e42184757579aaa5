use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::ModulesError;
use super::unpack::unpack;

/// A driver that a guest cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The module's name.
    pub module: &'static str,
    /// The kernel's option that gives it, without `CONFIG_`.
    pub option: &'static str,
}

/// The modules of one kernel.
#[derive(Debug)]
pub struct ModuleTree {
    folder: PathBuf,
    /// What is built in, by name.
    built_in: HashSet<String>,
    /// Path and dependencies of each module, by name; paths from the folder on.
    modules: HashMap<String, Module>,
    /// Modules that others want loaded before them, though they run without.
    wishes: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
struct Module {
    path: String,
    needs: Vec<String>,
}

impl ModuleTree {
    /// The modules in `folder`, or in `lib/modules/RELEASE` in it.
    ///
    /// # Errors
    /// [`ModulesError`] if there are none, or their lists cannot be read.
    pub fn open(folder: &Path, release: Option<&str>) -> Result<Self, ModulesError> {
        let inside = release.map(|release| folder.join("lib/modules").join(release));
        let found = [Some(folder.to_owned()), inside].into_iter().flatten();
        match found.into_iter().find(|folder| folder.join(DEPENDENCIES).is_file()) {
            Some(folder) => Self::read(folder),
            None => Err(ModulesError::NoTree {
                folder: folder.to_owned(),
                release: release.unwrap_or("RELEASE").to_owned(),
            }),
        }
    }

    /// The modules of the kernel of this release, where systems have them;
    /// `None` if this one has none of it.
    ///
    /// # Errors
    /// [`ModulesError`] if their lists cannot be read.
    pub fn of_system(release: &str) -> Result<Option<Self>, ModulesError> {
        let folder = Path::new("/lib/modules").join(release);
        folder.join(DEPENDENCIES).is_file().then(|| Self::read(folder)).transpose()
    }

    fn read(folder: PathBuf) -> Result<Self, ModulesError> {
        let list = |name: &str| {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
                Err(source) => Err(ModulesError::Read { path, source }),
            }
        };
        let (built_in, needed) = (list("modules.builtin")?, list(DEPENDENCIES)?);
        let wished = list("modules.softdep")?;
        Ok(Self::parse(folder, &built_in, &needed, &wished))
    }

    /// Takes the lists as `depmod` writes them (man pages modules.dep(5),
    /// modprobe.d(5)); lines that are something else are left out.
    pub(super) fn parse(folder: PathBuf, built_in: &str, needed: &str, wished: &str) -> Self {
        let built_in = built_in.lines().filter_map(name).collect();
        let modules = needed.lines().filter_map(|line| {
            let (path, needs) = line.split_once(':')?;
            let needs = needs.split_ascii_whitespace().filter_map(name).collect();
            Some((name(path)?, Module { path: path.to_owned(), needs }))
        });
        let mut wishes: HashMap<String, Vec<String>> = HashMap::new();
        for line in wished.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some("softdep"), Some(module)) = (words.next(), words.next()) else { continue };
            let before = words.skip_while(|word| *word != "pre:").skip(1);
            let before = before.take_while(|word| *word != "post:").filter_map(name);
            wishes.entry(name(module).unwrap_or_default()).or_default().extend(before);
        }
        Self { folder, built_in, modules: modules.collect(), wishes }
    }

    /// The modules that give these drivers, unpacked, in the order in which they
    /// are to be loaded; none for what is built in.
    ///
    /// # Errors
    /// [`ModulesError`] says which drivers there are not, or which file
    /// cannot be read.
    pub fn load(&self, drivers: &[Driver]) -> Result<Vec<(String, Vec<u8>)>, ModulesError> {
        let order = self.order(drivers)?;
        order.into_iter().map(|name| Ok((name.clone(), self.contents(&name)?))).collect()
    }

    /// The names of those modules, in that order.
    pub(super) fn order(&self, drivers: &[Driver]) -> Result<Vec<String>, ModulesError> {
        let (missing, there): (Vec<_>, Vec<_>) =
            drivers.iter().partition(|driver| !self.has(driver.module));
        if !missing.is_empty() {
            let named = |driver: &&Driver| format!("{} (CONFIG_{})", driver.module, driver.option);
            let missing: Vec<_> = missing.iter().map(named).collect();
            return Err(ModulesError::Missing {
                folder: self.folder.clone(),
                missing: missing.join(", "),
            });
        }
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for driver in there {
            self.visit(driver.module, &mut seen, &mut order);
        }
        Ok(order)
    }

    fn has(&self, name: &str) -> bool {
        self.built_in.contains(name) || self.modules.contains_key(name)
    }

    /// Puts what `name` needs before it into `order`, then itself.
    fn visit<'a>(&'a self, name: &'a str, seen: &mut HashSet<&'a str>, order: &mut Vec<String>) {
        // Walks a list of its own: lists of the host's may be of any depth.
        let mut path = vec![(name, false)];
        while let Some((name, is_done)) = path.pop() {
            if is_done {
                order.push(name.to_owned());
                continue;
            }
            let Some(module) = self.modules.get(name) else { continue };
            if self.built_in.contains(name) || !seen.insert(name) {
                continue;
            }
            path.push((name, true));
            let wished = self.wishes.get(name).into_iter().flatten();
            path.extend(wished.chain(&module.needs).map(|name| (name.as_str(), false)));
        }
    }

    fn contents(&self, name: &str) -> Result<Vec<u8>, ModulesError> {
        let path = self.folder.join(&self.modules[name].path);
        let packed =
            fs::read(&path).map_err(|source| ModulesError::Read { path: path.clone(), source })?;
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        unpack(suffix, packed).map_err(|source| ModulesError::Unpack { path, source })
    }
}

const DEPENDENCIES: &str = "modules.dep";

/// The name of the module in a file: without folders and suffixes, and with
/// underscores, as the kernel has it.
fn name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = file.split('.').next().filter(|stem| !stem.is_empty())?;
    Some(stem.replace('-', "_"))
}
