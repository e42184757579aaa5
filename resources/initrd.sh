# shellcheck shell=bash
# What makes an initramfs of busybox and a Debian kernel's modules. To be sourced after common.sh.

# load_order MODULES_DIR NAME...: prints the files to load, dependencies first, each once.
# modules.dep gives "module: dependency..." with the dependency to be loaded first at the end.
load_order() {
    local dir=$1 name line
    shift
    for name; do
        line=$(grep -E "/${name//[-_]/[-_]}\.ko(\.xz)?:" "$dir/modules.dep" || true)
        if [[ -z $line ]]; then
            grep -qE "/${name//[-_]/[-_]}\.ko$" "$dir/modules.builtin" || die "$dir has no module $name"
            continue
        fi
        # shellcheck disable=SC2086 # module files have no spaces
        printf '%s\n' ${line/:/} | tac
    done | awk '!seen[$0]++' | while read -r file; do printf '%s\n' "$dir/$file"; done
}

# unpack_modules MODULES_DIR INTO NAME...: leaves the modules and what they depend on in INTO,
# uncompressed and named so that they load in the order of their names.
unpack_modules() {
    local dir=$1 into=$2 number=10 file
    shift 2
    while read -r file; do
        case $file in
        *.xz) xz -dc "$file" >"$into/$number-$(basename "$file" .xz)" ;;
        *) cp "$file" "$into/$number-$(basename "$file")" ;;
        esac
        number=$((number + 1))
    done < <(load_order "$dir" "$@")
}

# pack_initrd DIR FILE: packs DIR, uncompressed: unpacking is slow where kernels are emulated.
pack_initrd() {
    (cd "$1" && find . | sort | /bin/busybox cpio -o -H newc 2>/dev/null) >"$2"
}
