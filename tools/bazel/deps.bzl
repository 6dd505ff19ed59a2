"""Brings the dependencies of taskctx to a build with a WORKSPACE file (Bazel 4 to 7).

    load("@taskctx//tools/bazel:deps.bzl", "taskctx_deps")

    taskctx_deps()

Names and labels are those of the Bazel Central Registry, so that BUILD files read the same with and
without MODULE.bazel. Behind them stand the system's packages: nothing is downloaded or compiled.
"""

load(":bazel_rules.bzl", "bazel_rules")
load(":system_repository.bzl", "system_repository")

def taskctx_deps():
    """Declares every repository that taskctx needs and that is not declared yet.

    To use another version of one of them, declare it under the same name before calling this.
    """
    bazel_rules()

    _maybe(
        system_repository,
        name = "onetbb",
        title = "oneTBB",
        debian_package = "libtbb-dev",
        module = "tbb",
        headers = ["oneapi", "tbb"],
        libraries = {"tbb": "tbb"},
    )

    _maybe(
        system_repository,
        name = "abseil-cpp",
        title = "Abseil",
        debian_package = "libabsl-dev",
        module = "absl_base",
        headers = ["absl"],
        libraries = {
            "absl/base:core_headers": "absl_core_headers",
            "absl/base:log_severity": "absl_log_severity",
            "absl/cleanup:cleanup": "absl_cleanup",
            "absl/container:flat_hash_map": "absl_flat_hash_map",
            "absl/container:inlined_vector": "absl_inlined_vector",
            "absl/flags:commandlineflag": "absl_flags_commandlineflag",
            "absl/flags:flag": "absl_flags",
            "absl/flags:parse": "absl_flags_parse",
            "absl/flags:reflection": "absl_flags_reflection",
            "absl/flags:usage": "absl_flags_usage",
            "absl/functional:any_invocable": "absl_any_invocable",
            "absl/functional:function_ref": "absl_function_ref",
            "absl/hash:hash": "absl_hash",
            "absl/status:status": "absl_status",
            "absl/status:statusor": "absl_statusor",
            "absl/strings:str_format": "absl_str_format",
            "absl/strings:strings": "absl_strings",
            "absl/synchronization:synchronization": "absl_synchronization",
            "absl/time:time": "absl_time",
            "absl/types:span": "absl_span",
        },
    )

    _maybe(
        system_repository,
        name = "googletest",
        title = "GoogleTest",
        debian_package = "libgmock-dev",
        module = "gmock",
        headers = ["gmock", "gtest"],
        libraries = {
            "gtest": "gmock",  # As in the registry: GoogleTest with GoogleMock.
            "gtest_main": "-lgmock_main :gtest",
        },
    )

    _maybe(
        system_repository,
        name = "google_benchmark",
        title = "Google Benchmark",
        debian_package = "libbenchmark-dev",
        module = "benchmark",
        headers = ["benchmark"],
        libraries = {
            "benchmark": "benchmark",
            "benchmark_main": "-lbenchmark_main benchmark",
        },
    )

    # For a test: nothing is missing where it is not built.
    _maybe(
        system_repository,
        name = "asio",
        title = "Asio",
        debian_package = "libasio-dev",
        defines = ["ASIO_HAS_CO_AWAIT"],  # Debian 12's knows clang's coroutines by an old name.
        headers = ["asio", "asio.hpp"],
        libraries = {"asio": ""},
    )

def _maybe(rule, name, **kwargs):
    if not native.existing_rule(name):
        rule(name = name, **kwargs)
