"""A repository rule that offers an installed C++ package under Bazel labels."""

# Part of libc itself; the archives of these names are empty.
_LIBC = ["-ldl", "-lpthread", "-lrt"]

_LIBRARY = """
cc_library(
    name = "{name}",
    srcs = {archives},
    hdrs = [":headers"],
    defines = {defines},
    includes = ["include"],  # Reaches dependants as -isystem: no warnings from these headers.
    linkopts = {linkopts},
    deps = {deps},
)
"""

_ALIAS = """
alias(
    name = "{name}",
    actual = "//:{actual}",
)
"""

def _link_line(repository_ctx, words):
    """Returns (archives, linkopts, deps) of a link line.

    A word with "-" is an option, one with ":" a library of the same repository that must come
    behind this one, and any other a pkg-config module.

    A library that is only there as an archive must be known to Bazel as one: as a mere option it
    would end up once in the program, and once more in each shared library that a test is made of.
    """
    archives = []
    linkopts = []
    deps = [word for word in words.split(" ") if word.startswith(":")]
    for word in words.split(" "):
        if not word or word in deps:
            continue
        for option in [word] if word.startswith("-") else _pkg_config(repository_ctx, "--libs", word):
            archive = _archive(repository_ctx, option)
            if archive:
                archives.append(archive)
            else:
                linkopts.append(option)
    return archives, linkopts, deps

def _archive(repository_ctx, option):
    """Links the archive that a "-l" option means into lib/, unless there is a shared library."""
    if not option.startswith("-l") or option in _LIBC:
        return None
    module = repository_ctx.attr.module
    stem = "{}/lib{}.".format(_pkg_config(repository_ctx, "--variable=libdir", module)[0], option[2:])
    if repository_ctx.path(stem + "so").exists or not repository_ctx.path(stem + "a").exists:
        return None
    link = "lib/lib{}.a".format(option[2:])
    if not repository_ctx.path(link).exists:
        repository_ctx.symlink(stem + "a", link)
    return link

def _fail_missing(repository_ctx):
    fail("taskctx: {} is not installed: install the Debian package {}".format(
        repository_ctx.attr.title,
        repository_ctx.attr.debian_package,
    ))

def _pkg_config(repository_ctx, *arguments):
    """Returns the words that pkg-config prints, or fails saying which package to install."""
    program = repository_ctx.which("pkg-config")
    if not program:
        fail("taskctx: pkg-config is not installed: install the Debian package pkg-config")
    result = repository_ctx.execute([program] + list(arguments))
    if result.return_code != 0:
        _fail_missing(repository_ctx)
    return [word for word in result.stdout.replace("\n", " ").split(" ") if word]

def _system_repository_impl(repository_ctx):
    # Libraries live in the root package, so that all of them share one set of headers; what the
    # registry keeps in other packages is an alias. The headers are linked one folder at a time:
    # the whole of /usr/include would let undeclared dependencies compile.
    root = """load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

filegroup(
    name = "headers",
    srcs = glob(["include/**"]),
    visibility = ["//visibility:private"],
)
"""
    packages = {}
    for label, words in repository_ctx.attr.libraries.items():
        package, _, name = label.rpartition(":")
        library = label.replace("/", "_").replace(":", "_")
        archives, linkopts, deps = _link_line(repository_ctx, words)
        root += _LIBRARY.format(
            name = library,
            archives = archives,
            defines = repository_ctx.attr.defines,
            linkopts = linkopts,
            deps = deps,
        )
        if package:
            packages[package] = packages.get(package, "") + _ALIAS.format(name = name, actual = library)

    include = "/usr/include"
    if repository_ctx.attr.module:
        include = _pkg_config(repository_ctx, "--variable=includedir", repository_ctx.attr.module)[0]
    for folder in repository_ctx.attr.headers:
        if not repository_ctx.path(include + "/" + folder).exists:
            _fail_missing(repository_ctx)
        repository_ctx.symlink(include + "/" + folder, "include/" + folder)

    repository_ctx.file("BUILD.bazel", root)
    for package, aliases in packages.items():
        repository_ctx.file(
            package + "/BUILD.bazel",
            "package(default_visibility = [\"//visibility:public\"])\n" + aliases,
        )

system_repository = repository_rule(
    implementation = _system_repository_impl,
    doc = "Wraps a package of the system, found by pkg-config, as cc_library targets.",
    attrs = {
        "title": attr.string(mandatory = True, doc = "The package's name for people."),
        "debian_package": attr.string(mandatory = True, doc = "What to install where it is missing."),
        "module": attr.string(doc = "The pkg-config module that knows its headers, if it has one."),
        "defines": attr.string_list(doc = "What its headers need defined to work in C++20."),
        "headers": attr.string_list(
            mandatory = True,
            doc = "Its folders and files in the include directory.",
        ),
        "libraries": attr.string_dict(
            mandatory = True,
            doc = "Label to link line: pkg-config modules, linker options, and :libraries.",
        ),
    },
    environ = ["PKG_CONFIG_PATH"],
    local = True,
)
