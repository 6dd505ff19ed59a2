"""The tests of the library, by the floor that they stand on."""

load("@rules_cc//cc:defs.bzl", "cc_test")

_CORE = [
    "//:bind",
    "//:context",
    "//tests:support",
    "@googletest//:gtest_main",
]

_POOL = _CORE + [
    "//:cancel",
    "//:job_pool",
    "//:tbb",
    "//tests:pools",
    "@abseil-cpp//absl/time",
    "@onetbb//:tbb",
]

_CORO = _POOL + [
    "//:coro",
    "//:dict",
    "//tests:coroutines",
]

def core_test(name, size = "small", tags = [], deps = [], **options):
    """Declares a test of what knows nothing of oneTBB: ThreadSanitizer can run it with any oneTBB."""
    _test(name, deps = _CORE + deps, size = size, tags = tags + ["without_tbb"], **options)

def pool_test(name, deps = [], **options):
    """Declares a test of what runs on oneTBB: jobs and loops."""
    _test(name, deps = _POOL + deps, **options)

def coro_test(name, deps = [], **options):
    """Declares a test of coroutines, or of all that there is."""
    _test(name, deps = _CORO + deps, **options)

def compiled_in_three_ways(test, name, copts = [], **options):
    """Declares a `test` three times: compilers may keep a thread_local's address across a suspension, by option."""
    for suffix, ways in {
        "": ["-O2"],
        "_pic": ["-O2", "-fPIC"],
        "_unoptimized": ["-O0"],
    }.items():
        test(name.replace("_test", suffix + "_test"), srcs = [name + ".cc"], copts = ways + copts, **options)

# `more` are sources beside the one with the test's name.
def _test(name, deps, size = "medium", srcs = None, more = [], **options):
    cc_test(
        name = name,
        size = size,
        srcs = (srcs or [name + ".cc"]) + more,
        deps = deps,
        **options
    )
