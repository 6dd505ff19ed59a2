"""A program that is optimized whatever the rest of the build is: for counts of instructions, and of accesses."""

def _optimize_impl(_settings, attr):
    return {
        "//command_line_option:compilation_mode": "opt",
        # Nor sanitizers: they are a matter of these two.
        "//command_line_option:copt": attr.copts,
        "//command_line_option:linkopt": [],
    }

_optimize = transition(
    implementation = _optimize_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:linkopt",
    ],
)

def _optimized_binary_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.executable.binary, is_executable = True)
    return [DefaultInfo(
        executable = program,
        runfiles = ctx.attr.binary[0][DefaultInfo].default_runfiles,
    )]

optimized_binary = rule(
    implementation = _optimized_binary_impl,
    doc = "The program of a cc_binary, built with -c opt.",
    attrs = {
        "copts": attr.string_list(
            doc = "Options of the compiler, for all that the program is made of.",
        ),
        "binary": attr.label(
            doc = "The cc_binary.",
            cfg = _optimize,
            executable = True,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
