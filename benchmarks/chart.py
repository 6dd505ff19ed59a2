# SPDX-License-Identifier: Apache-2.0
"""The chart: what an operation costs with taskctx, and with what people use instead."""

import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "taskctx"  # The same numbers give the same file.
matplotlib.rcParams["font.family"] = "DejaVu Sans"

import matplotlib.pyplot as plt  # noqa: E402  (after the choice of a backend)

from samples import QUEUE_WAITS, interval  # noqa: E402

INK, PALE = "#24292f", "#8c959f"

# Contenders from the front to the back: label, names, colour, marker, size.
SERIES = (
    ("taskctx", ("taskctx",), "#0969da", "o", 9),
    ("thread_local", ("thread_local", "thread_local_pointer"), INK, "D", 7),
    ("shared_ptr to a const map", ("shared_ptr_map",), "#bc4c00", "s", 5.5),
    ("enumerable_thread_specific", ("enumerable_thread_specific",), "#8250df", "^", 6),
)


def _spread(values):
    """Returns the median, and how far 95 % reach to the left and to the right."""
    middle, low, high = interval(values)
    return middle, middle - low, high - middle


def _label(ns):
    return f"{ns:.1f} ns" if ns < 10 else f"{ns:.0f} ns"


def _style(axes, label):
    """Leaves only the grid of the axis of times, whose ticks `label` names."""
    axes.tick_params(axis="y", length=0, labelsize=10.5, labelcolor=INK)
    axes.tick_params(axis="x", which="both", labelsize=9, colors=PALE)
    axes.xaxis.set_major_formatter(lambda ns, _: label(ns))
    axes.grid(axis="x", which="major", color="#d0d7de", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _finish(figure, axes, note, context, path):
    """Writes the note, and what was measured where and when, below the axes; saves the picture."""
    axes.annotate(
        f"{note} {context.get('cpu', '')}, {context.get('compiler', '')}, {context.get('date', '')}.",
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -30),
        textcoords="offset points",
        color=PALE,
        fontsize=8.5,
        va="top",
    )
    figure.savefig(path, bbox_inches="tight", facecolor="white", metadata={"Date": None})
    plt.close(figure)


def draw(data, samples, context, path):
    """Writes the chart to `path`."""
    operations = [
        operation
        for operation in data["operations"]
        if operation.get("chart") and samples.of_first(operation, SERIES[0][1])
    ]
    if not operations:
        return
    figure, axes = plt.subplots(figsize=(9.6, 1.5 + 0.56 * len(operations)))
    axes.set_xscale("log")
    for row, operation in enumerate(operations):
        found = [samples.of_first(operation, names) for _, names, *_ in SERIES]
        pair = [statistics.median(values) for values in found[:2] if values]
        axes.plot(pair, [row] * len(pair), color="#54aeff", linewidth=3, alpha=0.45, zorder=1)
        for depth, (values, series) in enumerate(zip(found, SERIES)):
            if values:
                _, _, colour, marker, size = series
                middle, left, right = _spread(values)
                axes.errorbar(
                    middle,
                    row,
                    xerr=[[left], [right]],
                    color=colour,
                    marker=marker,
                    markersize=size,
                    markeredgecolor="white",
                    markeredgewidth=0.8,
                    ecolor=colour,
                    elinewidth=1.4,
                    capsize=3,
                    zorder=9 - depth,
                )
        ours = statistics.median(found[0])
        texts = [(8, _label(ours))]
        if found[1]:
            texts.append((62, f"{ours / statistics.median(found[1]):.1f}×"))
        for offset, text in texts:
            axes.annotate(
                text,
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(offset, 0),
                textcoords="offset points",
                va="center",
                color=SERIES[0][2],
                fontsize=10,
            )
    axes.set_yticks(range(len(operations)), [operation["label"] for operation in operations])
    axes.set_ylim(len(operations) - 0.5, -0.5)
    _style(axes, lambda ns: f"{ns:g} ns")
    handles = [
        axes.plot([], [], color=colour, marker=marker, markersize=size, linestyle="", label=label)[0]
        for label, _, colour, marker, size in SERIES
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.005, 1.0),
        ncols=len(SERIES),
        frameon=False,
        fontsize=9.5,
        handletextpad=0.2,
        columnspacing=1.4,
    )
    for offset, text in ((8, "taskctx"), (62, "thread_local\n= 1")):
        axes.annotate(
            text,
            (1.0, 1.0),
            xycoords="axes fraction",
            xytext=(offset, 6),
            textcoords="offset points",
            va="bottom",
            color=PALE,
            fontsize=9,
        )
    _finish(
        figure,
        axes,
        "8 variables set. Medians, with 95 % intervals where those are wider than the marks. The last "
        "three, with thread_local:\none pointer, copied by hand; nothing keeps alive what it points to.",
        context,
        path,
    )


# Who else queues jobs: label, colour, marker.
QUEUES = {
    "taskctx": ("taskctx submit", "#0969da", "o"),
    "onetbb": ("oneTBB task_arena::enqueue", "#8250df", "^"),
    "packaged_task": ("packaged_task, queue under a mutex", "#bc4c00", "s"),
    "async": ("std::async", INK, "D"),
}
QUANTILES = ("p50", "p99", "p999")


def _time(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def draw_queue_waits(samples, context, path):
    """Writes the chart of the times in the queue to `path`; nothing if they were not measured."""
    figure, axes = plt.subplots(figsize=(9.6, 4.6))
    axes.set_xscale("log")
    places = {}  # Of the rows, by load.
    row = 0
    for load, queue, name, prefix in QUEUE_WAITS:
        values = [samples.get(name, prefix + quantile) for quantile in QUANTILES]
        if not all(values):
            plt.close(figure)
            return
        if places and load not in places:
            row += 0.9
        label, colour, marker = QUEUES[queue]
        marks = [statistics.median(each) for each in values]
        axes.plot(marks, [row] * len(marks), color=colour, linewidth=1.6, alpha=0.55, zorder=2)
        axes.scatter(
            marks,
            [row] * len(marks),
            s=(64, 36, 16),
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
            label=label if load == QUEUE_WAITS[0][0] else None,
        )
        axes.annotate(
            " / ".join(_time(mark) for mark in marks),
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
        places.setdefault(load, []).append(row)
        row += 1
    ticks = [statistics.mean(rows) for rows in places.values()]
    labels = [f"{load} % load" for load in places]
    axes.set_yticks(ticks, labels)
    axes.set_ylim(row - 0.3, -0.7)
    _style(axes, _time)
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.13, 1.03),
        ncols=len(QUEUES),
        frameon=False,
        fontsize=9.5,
        handletextpad=0.1,
        columnspacing=1.0,
    )
    axes.annotate(
        "p50 / p99 / p99.9",
        (1.0, 1.0),
        xycoords="axes fraction",
        xytext=(8, 6),
        textcoords="offset points",
        va="bottom",
        color=PALE,
        fontsize=9,
    )
    _finish(
        figure,
        axes,
        "Time from when a job is due to when it begins. Jobs of 100 µs that come at random; one core submits, the others "
        "work.\np50 and p99: medians of turns of 500 jobs; p99.9: of all jobs.",
        context,
        path,
    )


def draw_scale(contenders, cores, costs, context, path):
    """Writes the chart of what scale_model.py foretells: a panel for each title, one contender beside another."""
    titles = list(dict.fromkeys(each.title for each in contenders))
    figure, panels = plt.subplots(2, (len(titles) + 1) // 2, figsize=(11.6, 7.4), sharex=True, sharey=True)
    for axes, title in zip(panels.flat, titles):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.plot(cores, cores, color=PALE, linewidth=1, linestyle=(0, (2, 3)), zorder=1)
        pair = [each for each in contenders if each.title == title]
        # Ours last: on top.
        for each, colour in reversed(list(zip(pair, (SERIES[0][2], "#8250df")))):
            low, high = zip(*([x * each.one for x in each.foretold(costs, n)] for n in cores))
            axes.fill_between(cores, low, high, color=colour, alpha=0.14, linewidth=0, zorder=2)
            for values in (low, high):
                axes.plot(cores, values, color=colour, linewidth=1.6, zorder=3)
            axes.plot(2, each.one / each.two, color=colour, marker="o", markersize=6.5,
                      markeredgecolor="white", zorder=4)  # fmt: skip
        axes.set_title(title, loc="left", fontsize=10.5, color=INK, pad=22)
        for (each, colour), x in zip(zip(pair, (SERIES[0][2], "#8250df")), (0, 0.5)):
            axes.annotate(each.name, (x, 1), xycoords="axes fraction", xytext=(0, 6),
                          textcoords="offset points", color=colour, fontsize=9)  # fmt: skip
        axes.set_xticks(cores, [str(n) for n in cores])
        axes.set_ylim(1 / 16, 2 * cores[-1])
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g} ×" if y >= 1 else f"1/{1 / y:g} ×")
        axes.tick_params(which="both", labelsize=8.5, colors=PALE, length=0)
        axes.grid(which="major", color="#d0d7de", linewidth=0.6)
        axes.minorticks_off()
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)
    for axes in panels.flat[len(titles) :]:
        axes.set_visible(False)
    figure.subplots_adjust(hspace=0.42, wspace=0.1)
    _finish(
        figure,
        panels[1][0],
        "Throughput of all cores, in that of one core, foretold from counted accesses to shared lines: at the upper "
        "edge a line is busy for\n9.4 ns per locked operation, at the lower each comes from another core. Dotted: as "
        "many times as cores.\nDots: measured on two cores.",
        context,
        path,
    )


def draw_peers(labels, contenders, context, path):
    """Writes the chart of what peers.py compares: a row for each of the labels, a mark for each contender."""
    looks = (("#0969da", "o", 8), ("#bf3989", "P", 7.5), ("#bc4c00", "s", 5.5), ("#1a7f37", "v", 6.5),
             ("#8250df", "^", 6.5), (INK, "D", 5.5))  # fmt: skip
    figure, axes = plt.subplots(figsize=(9.6, 1.5 + 0.7 * len(labels)))
    axes.set_xscale("log")
    for depth, ((name, operations), (colour, marker, size)) in enumerate(zip(contenders, looks)):
        marks = [(row, _spread(values)) for row, values in enumerate(operations) if values]
        axes.errorbar([middle for _, (middle, _, _) in marks], [row + (depth - 2.5) * 0.1 for row, _ in marks],
                      xerr=list(zip(*((left, right) for _, (_, left, right) in marks))),
                      color=colour, marker=marker, markersize=size, markeredgecolor="white",
                      markeredgewidth=0.8, elinewidth=1.4, capsize=3, linestyle="", zorder=9 - depth)  # fmt: skip
        axes.plot([], [], color=colour, marker=marker, markersize=size, linestyle="", label=name)
    for row, values in enumerate(contenders[0][1]):
        axes.annotate(_time(statistics.median(values)), (1.0, row), xycoords=("axes fraction", "data"),
                      xytext=(8, 0), textcoords="offset points", va="center", color=looks[0][0],
                      fontsize=10)  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    _style(axes, _time)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.24, 1.0), ncols=(len(contenders) + 1) // 2, frameon=False,
                fontsize=9, handletextpad=0.1, columnspacing=0.9)  # fmt: skip
    axes.annotate("taskctx", (1.0, 1.0), xycoords="axes fraction", xytext=(8, 6),
                  textcoords="offset points", va="bottom", color=PALE, fontsize=9)  # fmt: skip
    _finish(
        figure,
        axes,
        "8 variables set. Medians, with 95 % intervals where those are wider than the marks. taskctx and OpenTelemetry "
        "capture: for the others\neach value is carried by hand. A fiber runs on the thread that starts it, so its last "
        "two marks\nare on one thread.",
        context,
        path,
    )
