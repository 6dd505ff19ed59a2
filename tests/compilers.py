"""The compilers that tests of the headers ask."""

import os
import re
import shutil

LANGUAGE = ["-std=c++20", "-Iinclude", "-I."]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow"]


def compilers():
    """Returns the names of the compilers that are installed, each once: g++, clang++-16, and CC's."""
    names = ["g++", "clang++-16"]
    if "CC" in os.environ:
        names.append(re.sub(r"gcc(?=[^/]*$)", "g++", re.sub(r"clang(?=[^/]*$)", "clang++", os.environ["CC"])))
    found = {os.path.realpath(path): name for name in reversed(names) if (path := shutil.which(name))}
    return sorted(found.values())
