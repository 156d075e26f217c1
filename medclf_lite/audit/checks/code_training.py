"""Code that trains: frozen layers, weights, saved models, stopping, seeds of workers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import (
    bindings,
    calls,
    constant,
    in_loop,
    keyword,
    last_name,
    mentions,
    told,
    words,
)
from medclf_lite.audit.finding import IMBALANCE, TRAINING, TRANSFER, Finding
from medclf_lite.audit.registry import code_check

COUNTER = re.compile(r"(?i)count|wait|bad|patience|stale|no_improve|epochs_without")
LOADER = re.compile(r"(?i)loader|\bdl\b|_dl$|batches")
SAVES = ("save", "save_file", "save_model", "save_weights")
GENERATORS = ("default_rng", "RandomState", "Random", "Generator")


@code_check(id="code.frozen-batchnorm")
def frozen_batchnorm(code: Code) -> Iterator[Finding]:
    """Weights that are frozen while BatchNorm goes on learning."""
    yield from told(
        code, "code.frozen-batchnorm", "warning", "Weights are frozen, BatchNorm is not", _frozen,
        "requires_grad=False stops the optimizer. model.train() still lets BatchNorm take its "
        "means from each batch, and the frozen features drift away.",
        "Set the frozen part to .eval() again after each model.train(), best in a train() of your "
        "own; audit.check(train=..., model=...) measures it.", TRANSFER,
    )  # fmt: skip


def _frozen(unit: Unit) -> Iterator[ast.AST]:
    own_train = any(isinstance(n, ast.FunctionDef) and n.name == "train" and any(
        "eval" in words(x) for x in n.body) for n in unit.nodes)  # fmt: skip
    part_eval = any(isinstance(c.func, ast.Attribute) and isinstance(c.func.value, ast.Attribute)
                    for c in calls(unit, "eval"))  # fmt: skip
    if own_train or part_eval or mentions(unit, r"(?i)batch_?norm|FrozenBatchNorm|freeze_bn"):
        return
    if not any(True for _ in calls(unit, "train")):
        return
    for node in unit.nodes:
        if not isinstance(node, ast.Assign) or last_name(node.targets[0]) != "requires_grad":
            continue
        if constant(node.value) is False:
            yield node
    for call in calls(unit, "requires_grad_"):
        if call.args and constant(call.args[0]) is False:
            yield call


@code_check(id="code.sampler-and-weights")
def sampler_and_weights(code: Code) -> Iterator[Finding]:
    """A balancing sampler and a weighted loss in one place."""
    yield from told(
        code, "code.sampler-and-weights", "warning", "A sampler and a weighted loss", _both,
        "Together they correct the imbalance twice: scores overshoot, and the calibration error is "
        "more than twice that of either alone.",
        "Keep one of them, or none, and choose the threshold on validation patients.", IMBALANCE,
    )  # fmt: skip


def _both(unit: Unit) -> Iterator[ast.AST]:
    samplers = list(calls(unit, "WeightedRandomSampler", "ImbalancedDatasetSampler",
                          "BalancedBatchSampler"))  # fmt: skip
    losses = [c for c in calls(unit, "BCEWithLogitsLoss", "CrossEntropyLoss", "BCELoss", "NLLLoss",
                               "cross_entropy", "binary_cross_entropy_with_logits")
              if keyword(c, "pos_weight") or keyword(c, "weight")]  # fmt: skip
    if samplers and losses:
        yield samplers[0]
        yield losses[0]


@code_check(id="code.batch-means")
def batch_means(code: Code) -> Iterator[Finding]:
    """Losses of an epoch that are means of the means of batches."""
    yield from told(
        code, "code.batch-means", "note", "The loss of an epoch is a mean of means", _means,
        "The images of a short last batch count more than others, so the figure depends on the "
        "batch size.",
        "Add loss.item() * len(labels), and divide by the number of images.", TRAINING,
    )  # fmt: skip


def _means(unit: Unit) -> Iterator[ast.AST]:
    sums = {" ".join(words(n.target)) for n in unit.nodes if isinstance(n, ast.AugAssign)
            and isinstance(n.op, ast.Add) and _is_item(n.value)}  # fmt: skip
    lists = {" ".join(words(c.func.value)) for c in calls(unit, "append")
             if isinstance(c.func, ast.Attribute) and c.args and _is_item(c.args[0])}  # fmt: skip
    for node in unit.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            divided = " ".join(words(node.left)) in sums
            if divided and "len" in words(node.right) and mentions(node.right, LOADER):
                yield node
    for call in calls(unit, "mean", "fmean"):
        if call.args and " ".join(words(call.args[0])) in lists:
            yield call


def _is_item(value: ast.expr) -> bool:
    """Tell ``loss.item()`` or ``float(loss)``, not multiplied by anything."""
    if not isinstance(value, ast.Call) or not mentions(value, r"(?i)loss"):
        return False
    return last_name(value.func) in ("item", "float")


@code_check(id="code.last-saved")
def last_saved(code: Code) -> Iterator[Finding]:
    """Weights called the best that are the last, or that go on changing."""
    yield from told(
        code, "code.last-saved", "warning", "The best weights are not kept", _not_best,
        "Saved after the loop, they are those of the last epoch. state_dict() without a copy "
        "returns the very tensors that training goes on changing.",
        "Save inside `if better:`, to a file, or copy.deepcopy(model.state_dict()).", TRAINING,
    )  # fmt: skip


def _not_best(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit, *SAVES):
        guarded = any(isinstance(up, ast.If) for up in unit.above(call))
        if mentions(call, r"(?i)best") and not guarded and not _keeps_best(unit, call):
            yield call
    for node in unit.nodes:
        if isinstance(node, ast.Assign) and mentions(node.targets[0], r"(?i)best"):
            value = node.value
            if isinstance(value, ast.Call) and last_name(value.func) == "state_dict":
                yield node


def _keeps_best(unit: Unit, call: ast.Call) -> bool:
    """Tell whether what is saved was kept or loaded as the best before."""
    saved = call.args[0] if call.args else call
    if mentions(saved, r"(?i)best"):
        return True
    return any(mentions(c, r"(?i)best") for c in calls(unit, "load_state_dict"))


@code_check(id="code.nan-stop")
def nan_stop(code: Code) -> Iterator[Finding]:
    """Early stopping that takes NaN for an improvement."""
    yield from told(
        code, "code.nan-stop", "warning", "Early stopping takes NaN for an improvement", _nan_wins,
        "Every comparison with NaN is false: `score < best` says that it did not get worse, so the "
        "counter is set back and NaN becomes the best.",
        "Ask whether it got better and count everything else; raise where the loss is not "
        "math.isfinite. audit.check(stopper=...) feeds NaN.", TRAINING,
    )  # fmt: skip


def _nan_wins(unit: Unit) -> Iterator[ast.AST]:
    if mentions(unit, r"(?i)isnan|isfinite|nan_to_num|detect_anomaly"):
        return
    for node in unit.nodes:
        if not isinstance(node, ast.If) or not node.orelse:
            continue
        compares = [n for n in ast.walk(node.test) if isinstance(n, ast.Compare)
                    and isinstance(n.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE)]  # fmt: skip
        worse = any(mentions(c, r"(?i)best|lowest|minimum") for c in compares)
        counts = any(isinstance(n, ast.AugAssign) and mentions(n.target, COUNTER)
                     for s in node.body for n in ast.walk(s))  # fmt: skip
        resets = any(isinstance(n, ast.Assign) and mentions(n.targets[0], r"(?i)best|lowest")
                     for s in node.orelse for n in ast.walk(s))  # fmt: skip
        if worse and counts and resets:
            yield node


@code_check(id="code.worker-seed")
def worker_seed(code: Code) -> Iterator[Finding]:
    """Generators that repeat in the workers of a loader."""
    yield from told(
        code, "code.worker-seed", "warning", "Random draws repeat in the workers", _repeating,
        "A generator that is kept in a data set is copied, with its state, into every worker and "
        "anew in each epoch; so is a fixed seed in worker_init_fn.",
        "Draw from torch's global generator, or make one from (seed, epoch, index) in __getitem__.",
        TRAINING,
    )  # fmt: skip


def _repeating(unit: Unit) -> Iterator[ast.AST]:
    starts = {last_name(w) for c in calls(unit, "DataLoader")
              if (w := keyword(c, "worker_init_fn")) is not None}  # fmt: skip
    workers = [w for c in calls(unit, "DataLoader") if (w := keyword(c, "num_workers")) is not None]
    alone = bool(workers) and all(constant(w) == 0 for w in workers)
    for node in unit.nodes:
        if isinstance(node, ast.ClassDef) and not alone and _is_data_set(node):
            yield from _stored(node)
        elif isinstance(node, ast.FunctionDef) and node.name in starts:
            for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
                seeds = last_name(call.func) in ("seed", "manual_seed") and bool(call.args)
                if seeds and isinstance(call.args[0], ast.Constant):
                    yield call


def _is_data_set(node: ast.ClassDef) -> bool:
    return any(isinstance(n, ast.FunctionDef) and n.name in ("__getitem__", "__iter__", "__call__")
               for n in node.body)  # fmt: skip


def _stored(node: ast.ClassDef) -> Iterator[ast.AST]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            for n in ast.walk(each):
                value = n.value if isinstance(n, ast.Assign) else None
                if isinstance(value, ast.Call) and last_name(value.func) in GENERATORS:
                    yield n


@code_check(id="code.workers")
def workers(code: Code) -> Iterator[Finding]:
    """Numbers of workers and pinned memory that are written down for one machine."""
    yield from told(
        code, "code.workers", "note", "Workers and pinned memory fixed for one machine", _fixed,
        "Four workers on two cores, or on Windows without a main guard, are slower than none or "
        "fail. Pinned memory serves copies to a GPU only.",
        "num_workers from os.cpu_count() or an option; pin_memory=torch.cuda.is_available().",
        TRAINING,
    )  # fmt: skip


def _fixed(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit, "DataLoader"):
        n, pinned = constant(keyword(call, "num_workers")), constant(keyword(call, "pin_memory"))
        named = keyword(call, "num_workers")
        if isinstance(named, ast.Name):
            values = [constant(v) for _, v in bindings(unit, named.id)]
            n = values[0] if values else None
        if (isinstance(n, int) and n > 2) or pinned is True:
            yield call


@code_check(id="code.squeeze")
def squeeze(code: Code) -> Iterator[Finding]:
    """Outputs that lose their batch when it holds one image."""
    yield from told(
        code, "code.squeeze", "warning", "squeeze() without a dimension", _squeezes,
        "A last batch of one image becomes a number without dimensions: extending a list with it "
        "fails, or the loss broadcasts one label over another.",
        "Name the dimension: squeeze(1), flatten(), or reshape(-1).", TRAINING,
    )  # fmt: skip


def _squeezes(unit: Unit) -> Iterator[ast.AST]:
    about = r"(?i)sigmoid|softmax|model|\bnet\b|output|logit|pred|prob|score|\bout\b|classifier"
    for call in calls(unit, "squeeze"):
        on_module = isinstance(call.func, ast.Attribute) and last_name(call.func.value) in (
            "torch", "np", "numpy")  # fmt: skip
        bare = len(call.args) == int(on_module) and not call.keywords
        if bare and (mentions(call, about) or (in_loop(unit, call) and re.search(
            about, " ".join(words(call))))):  # fmt: skip
            yield call
