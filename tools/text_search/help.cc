// SPDX-License-Identifier: Apache-2.0

#include <string_view>

#include "tools/text_search/command_line.h"

namespace text_search {

std::string_view help_text() {
  return R"(Usage: search [options] ROOT QUERY...

Searches the files below ROOT for the fixed strings of many users at once, on one pool of threads,
and counts the matching lines of each query, as LC_ALL=C grep -rIcF does.

ROOT is a folder, or a single file. Symbolic links that are met on the way are not followed; files
with a NUL byte are binary and skipped; so are devices, pipes and sockets.

QUERY is id=string. The id names the request in the results; what is before its first '/', if it
has one, names the user, who is otherwise "anonymous". The string is all that is behind the first
'='; it is one line and not empty.

Options:
  --queries=FILE   also take queries from FILE, one per line
  --matches        print the matching lines, as request<TAB>path:line, in the order of the files;
                   the table goes to stderr then
  --account        show which request used the pool: how long its jobs were queued, and their CPU time
  --budget=N       find at most N lines per query, whichever come first (default: unlimited)
  --threads=N      threads of the pool (default: 8)
  --repeat=N       search N times. Files and lines are those of one time, and must agree; all else
                   in the results is the sum. --matches prints the lines of the first time.
  --format=FORMAT  table (default), or json: an object for programs
  --carrier=NAME   how a request's id reaches the function that records a match:
                     context       in the job's context, which follows it to other threads (default)
                     thread_local  in a thread_local variable that is set where the job starts
                     parameter     as a parameter of each function in between
  -h, --help       print this
  --version        print the version
  --               end of the options

The table has, for each query:
  files            files with at least one matching line
  lines            matching lines; with a '+' there are more, but the budget was used up
  CPU ms           CPU time in the leaves of the job's parallel loops
  wrong            lines that the carrier credited to another request than the query's
  lost             lines that it credited to none. With --matches their request is shown as '?'.
An audit, to which the true query is handed along beside the carrier, counts the last two. They are
0 unless the carrier is thread_local: a leaf that another thread has stolen does not see it. At most
half as many jobs as there are threads are in work at once, so that each has threads to help it.

The JSON object has root, carrier, threads, repeat, files_searched, files_binary, files_unreadable,
folders_unreadable, leaves, leaves_elsewhere (on another thread than their job's), and queries: a
list of objects with request, user, text, files, lines, truncated, cpu_ms, wrong, lost, leaves and
leaves_elsewhere; and with --account also account, a list of objects with request, jobs, queue_ms and
cpu_ms. The account's CPU time is that of the jobs' own threads, what other threads do for their loops
is not in it. Bytes that are not UTF-8 are shown as U+FFFD there.

Exit status: 0 if a line matches, 1 if none does, 2 for a bad command line, an unreadable ROOT, or
results that cannot be written. Unreadable files are counted and reported; they do not change it.

Examples:
  search /usr/include carol/q1=size_t dave/q2=noexcept
  search --matches --budget=3 . 'loops=parallel_for('
)";
}

}  // namespace text_search
