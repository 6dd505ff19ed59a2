"""Brings the repositories that Bazel itself would download for a build with a WORKSPACE file."""

# Debian's rules_cc is too new for Debian's Bazel 4, which has all of these built in.
_RULES_CC_FOR_BAZEL_4 = {
    "BUILD": "",
    "cc/BUILD": "",
    "cc/defs.bzl": """
cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_alias = native.cc_toolchain_alias
cc_toolchain_suite = native.cc_toolchain_suite
""",
}

# Every test depends on this one, though only coverage runs it.
_NO_COVERAGE_TOOLS = {
    "BUILD": """filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
""",
}

def _written_repository_impl(repository_ctx):
    for path, content in repository_ctx.attr.files.items():
        repository_ctx.file(path, content)

_written_repository = repository_rule(
    implementation = _written_repository_impl,
    doc = "A repository made of small files that are given in place.",
    attrs = {"files": attr.string_dict(mandatory = True, doc = "Path to content.")},
)

def _debian_repository_impl(repository_ctx):
    folder = repository_ctx.path("/usr/share/bazel/" + repository_ctx.attr.folder)
    if not folder.exists:
        fail("taskctx: {} is not installed: install the Debian package {}".format(
            folder,
            repository_ctx.attr.debian_package,
        ))
    for entry in folder.readdir():
        repository_ctx.symlink(entry, entry.basename)

_debian_repository = repository_rule(
    implementation = _debian_repository_impl,
    doc = "A repository that a Debian package has installed.",
    attrs = {
        "folder": attr.string(mandatory = True, doc = "Where it is, in Bazel's shared folder."),
        "debian_package": attr.string(mandatory = True, doc = "What to install where it is missing."),
    },
    local = True,
)

def bazel_rules():
    """Takes them from Debian's packages if this is Debian's Bazel, so that no network is needed.

    Debian's Bazel is the one that does not know its own version. Any other keeps its own defaults.
    """
    if native.bazel_version:
        return

    _maybe(_written_repository, "remote_coverage_tools", files = _NO_COVERAGE_TOOLS)
    if hasattr(native, "module_name"):  # Bazel 7, on Debian after 13.
        _maybe(_debian_repository, "bazel_features", folder = "tools/features", debian_package = "bazel-features")
        _maybe(_debian_repository, "bazel_skylib", folder = "tools/skylib", debian_package = "bazel-skylib")
        _debian_rules(["cc", "java", "license", "proto", "python"])
    else:  # Bazel 4, on Debian 12 and 13.
        _maybe(_written_repository, "rules_cc", files = _RULES_CC_FOR_BAZEL_4)
        _debian_rules(["java", "proto"])

def _debian_rules(languages):
    for language in languages:
        _maybe(
            _debian_repository,
            "rules_" + language,
            folder = "rules/" + language,
            debian_package = "bazel-rules-" + language,
        )

def _maybe(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)
