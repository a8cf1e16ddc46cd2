"""Right answers to lesson 11, each written in another way, and what the checks say to wrong ones."""

import math
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.exercises.lesson_11.diagnose import RIGHT as ROOMS

# --- shift_targets ---------------------------------------------------------------------------------------------------


def shift_by_narrow(token_ids):
    T = token_ids.shape[1] - 1
    return token_ids.narrow(1, 0, T), token_ids.narrow(1, 1, T)


def shift_by_roll(token_ids):
    return token_ids[:, :-1].clone(), token_ids.roll(-1, 1)[:, :-1]


def shift_row_by_row(token_ids):
    rows = token_ids.tolist()
    return torch.tensor([row[:-1] for row in rows]), torch.tensor([row[1:] for row in rows])


def shift_by_index(token_ids):
    places = torch.arange(token_ids.size(1) - 1)
    return token_ids[:, places], token_ids[:, places + 1]


def shift_by_split(token_ids):
    first = token_ids.split([token_ids.shape[1] - 1, 1], dim=1)[0]
    second = token_ids.split([1, token_ids.shape[1] - 1], dim=1)[1]
    return [first, second]


def shift_transposed(token_ids):
    columns = token_ids.T
    return columns[:-1].T, columns[1:].T


# --- cross_entropy ---------------------------------------------------------------------------------------------------


def loss_of_torch(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=ignore_index)


def loss_by_nll(logits, targets, ignore_index=-100):
    return F.nll_loss(logits.log_softmax(-1).flatten(0, -2), targets.flatten(), ignore_index=ignore_index)


def loss_by_selection(logits, targets, ignore_index=-100):
    counts = targets != ignore_index
    logits, targets = logits[counts], targets[counts]
    return (torch.logsumexp(logits, dim=-1) - logits[torch.arange(len(targets)), targets]).mean()


def loss_by_one_hot(logits, targets, ignore_index=-100):
    counts = targets != ignore_index
    chosen = F.one_hot(torch.where(counts, targets, 0), logits.shape[-1]).bool()
    log_p = torch.log_softmax(logits, -1)[chosen].view_as(targets)
    return -(log_p * counts).sum() / counts.sum()


def loss_by_largest(logits, targets, ignore_index=-100):
    shifted = logits - logits.max(dim=-1, keepdim=True).values
    log_p = shifted - shifted.exp().sum(-1, keepdim=True).log()
    total, count = 0.0, 0
    for row, target in zip(log_p.flatten(0, -2), targets.flatten().tolist(), strict=True):
        if target != ignore_index:
            total, count = total - row[target], count + 1
    return total / count


def loss_without_normalizing_twice(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.log_softmax(-1).movedim(-1, 1), targets, ignore_index=ignore_index)


def loss_in_double(logits, targets, ignore_index=-100):
    wide = logits.double()
    counts = targets.ne(ignore_index)
    picked = wide.gather(-1, targets.masked_fill(~counts, 0)[..., None])[..., 0]
    return torch.where(counts, wide.logsumexp(-1) - picked, 0.0).sum().div(counts.sum()).to(logits.dtype)


# --- adamw_step ------------------------------------------------------------------------------------------------------


def adamw_by_lerp(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
    mean.lerp_(gradient, 1 - beta1)
    square.lerp_(gradient * gradient, 1 - beta2)
    m, s = mean / (1 - beta1**step), square / (1 - beta2**step)
    weight -= lr * (m / (s.sqrt() + eps) + weight_decay * weight)


def adamw_as_pytorch_has_it(
    weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0
):
    weight.mul_(1 - lr * weight_decay)
    mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denominator = (square.sqrt() / math.sqrt(1 - beta2**step)).add_(eps)
    weight.addcdiv_(mean, denominator, value=-lr / (1 - beta1**step))


def adamw_by_copy(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
    mean.copy_(beta1 * mean + (1 - beta1) * gradient)
    square.copy_(beta2 * square + (1 - beta2) * gradient.pow(2))
    update = (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)) ** 0.5 + eps)
    weight.copy_(weight - lr * weight_decay * weight - lr * update)


def adamw_by_slices(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
    mean[:] = mean + (1 - beta1) * (gradient - mean)
    square[:] = square + (1 - beta2) * (gradient.square() - square)
    weight[:] = (1 - lr * weight_decay) * weight - lr * mean / (1 - beta1**step) / (
        torch.sqrt(square / (1 - beta2**step)) + eps
    )


def adamw_by_data(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
    mean *= beta1
    mean += (1 - beta1) * gradient
    square *= beta2
    square += (1 - beta2) * gradient**2
    update = mean / (1 - beta1**step) / (torch.sqrt(square / (1 - beta2**step)) + eps)
    weight.data = weight.data * (1 - lr * weight_decay) - lr * update


def adamw_number_by_number(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
    w, g, m, s = (tensor.view(-1) for tensor in (weight, gradient, mean, square))
    for i in range(len(w)):
        m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        s[i] = beta2 * s[i] + (1 - beta2) * g[i] ** 2
        step_size = (m[i] / (1 - beta1**step)) / (math.sqrt(s[i] / (1 - beta2**step)) + eps)
        w[i] = w[i] - lr * weight_decay * w[i] - lr * step_size


def adamw_that_returns_the_weight(
    weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0
):
    adamw_by_lerp(weight, gradient, mean, square, step, lr, beta1, beta2, eps, weight_decay)
    return weight


# --- cosine_schedule -------------------------------------------------------------------------------------------------


def cosine_by_branches(step, steps, warmup_steps, highest, final):
    if step < warmup_steps:
        return step / warmup_steps * highest
    if step >= steps:
        return final
    angle = math.pi * (step - warmup_steps) / (steps - warmup_steps)
    return 0.5 * (highest + final) + 0.5 * (highest - final) * math.cos(angle)


def cosine_by_numpy(step, steps, warmup_steps, highest, final):
    progress = np.clip((step - warmup_steps) / (steps - warmup_steps), 0, 1)
    decayed = final + (highest - final) * (1 + np.cos(np.pi * progress)) / 2
    return float(decayed) if step >= warmup_steps else highest * step / warmup_steps


def cosine_by_interpolation(step, steps, warmup_steps, highest, final):
    if warmup_steps > step:
        return highest / warmup_steps * step
    height = 0.5 + 0.5 * math.cos(math.pi * min((step - warmup_steps) / (steps - warmup_steps), 1))
    return height * highest + (1 - height) * final


def cosine_by_minimum(step, steps, warmup_steps, highest, final):
    warm = step / warmup_steps if warmup_steps else 1.0
    progress = min(max(step - warmup_steps, 0) / (steps - warmup_steps), 1.0)
    return min(highest * warm, final + (highest - final) * (math.cos(progress * math.pi) + 1) / 2)


def cosine_by_torch(step, steps, warmup_steps, highest, final):
    if step < warmup_steps:
        return torch.tensor(highest * step / warmup_steps)
    progress = torch.tensor((step - warmup_steps) / (steps - warmup_steps)).clamp(max=1)
    return final + (highest - final) * (1 + torch.cos(torch.pi * progress)) / 2


def cosine_by_sine(step, steps, warmup_steps, highest, final):
    if step < warmup_steps:
        return highest * step / warmup_steps
    quarter = math.pi / 2 * min(1, (step - warmup_steps) / (steps - warmup_steps))
    return highest - (highest - final) * math.sin(quarter) ** 2


# --- clip_gradients --------------------------------------------------------------------------------------------------


def clip_of_torch(weights, max_norm):
    return nn.utils.clip_grad_norm_(weights, max_norm)


def clip_by_norms(weights, max_norm):
    weights = [weight for weight in weights if weight.grad is not None]
    norm = torch.stack([weight.grad.norm() for weight in weights]).norm()
    for weight in weights:
        weight.grad *= min(1.0, max_norm / norm.item())
    return norm


def clip_one_long_vector(weights, max_norm):
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    if norm > max_norm:
        for gradient in gradients:
            gradient /= norm / max_norm
    return norm


def clip_by_assignment(weights, max_norm):
    weights = list(weights)
    total = 0
    for weight in weights:
        if weight.grad is not None:
            total += (weight.grad**2).sum().item()
    norm = math.sqrt(total)
    for weight in weights:
        if weight.grad is not None and norm > max_norm:
            weight.grad = weight.grad * max_norm / norm
    return norm


def clip_by_clamp(weights, max_norm):
    gradients = [w.grad for w in weights if isinstance(w.grad, torch.Tensor)]
    norm = torch.sqrt(sum(g.square().sum() for g in gradients))
    factor = torch.clamp(max_norm / (norm + 1e-12), max=1.0)
    for g in gradients:
        g.mul_(factor)
    return norm.item()


def clip_with_dot_products(weights, max_norm):
    pile = [w for w in weights if w.grad is not None]
    norm = float(sum(torch.dot(w.grad.flatten(), w.grad.flatten()) for w in pile)) ** 0.5
    scale = max_norm / max(norm, max_norm)
    for w in pile:
        w.grad.copy_(w.grad * scale)
    return norm


# --- accumulate_gradients --------------------------------------------------------------------------------------------


def accumulate_sums(model, parts):
    count = sum((targets != -100).sum() for _, targets in parts)
    total = 0
    for inputs, targets in parts:
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="sum") / count
        loss.backward()
        total += loss.item()
    return total


def accumulate_then_divide(model, parts):
    count, total = 0, 0.0
    for inputs, targets in parts:
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="sum")
        loss.backward()
        count += int((targets != -100).sum())
        total += loss.item()
    for weight in model.parameters():
        weight.grad /= count
    return total / count


def accumulate_in_one_graph(model, parts):
    losses = [F.cross_entropy(model(x).mT, y, reduction="none") for x, y in parts]
    count = sum(y.ne(-100).sum().item() for _, y in parts)
    loss = sum(each.sum() for each in losses) / count
    loss.backward()
    return loss.item()


def accumulate_all_at_once(model, parts):
    logits = torch.cat([model(x).flatten(0, 1) for x, _ in parts])
    loss = F.cross_entropy(logits, torch.cat([y.flatten() for _, y in parts]))
    loss.backward()
    return loss.detach()


def accumulate_with_gradient_argument(model, parts):
    numbers = [int((y != -100).sum()) for _, y in parts]
    result = 0.0
    for i, (x, y) in enumerate(parts):
        fraction = numbers[i] / sum(numbers)
        mean = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        mean.backward(torch.tensor(fraction))
        result += mean.item() * fraction
    return result


def accumulate_by_autograd(model, parts):
    weights = list(model.parameters())
    count = sum(int((y != -100).sum()) for _, y in parts)
    total = 0.0
    for x, y in parts:
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") / count
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        total += float(loss)
    return total


# --- train_step ------------------------------------------------------------------------------------------------------


def step_in_order(model, optimizer, parts, learning_rate, max_norm):
    optimizer.zero_grad()
    loss = accumulate_sums(model, parts)
    norm = clip_by_norms(model.parameters(), max_norm)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    return loss, norm


def step_that_zeroes_last(model, optimizer, parts, learning_rate, max_norm):
    for group in optimizer.param_groups:
        group.update(lr=learning_rate)
    loss = accumulate_sums(model, parts)
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    optimizer.zero_grad()
    return loss, norm.item()


def step_that_zeroes_the_model(model, optimizer, parts, learning_rate, max_norm):
    model.train()
    model.zero_grad(set_to_none=False)
    loss = accumulate_then_divide(model, parts)
    norm = clip_one_long_vector(list(model.parameters()), max_norm)
    for i in range(len(optimizer.param_groups)):
        optimizer.param_groups[i]["lr"] = learning_rate
    optimizer.step()
    return [loss, norm]


def step_with_none(model, optimizer, parts, learning_rate, max_norm):
    for weight in model.parameters():
        weight.grad = None
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss, norm = accumulate_all_at_once(model, parts), clip_by_clamp(model.parameters(), max_norm)
    optimizer.step()
    return loss, norm


def step_by_closure(model, optimizer, parts, learning_rate, max_norm):
    [group.__setitem__("lr", learning_rate) for group in optimizer.param_groups]
    found = []

    def closure():
        optimizer.zero_grad()
        loss = accumulate_in_one_graph(model, parts)
        found.extend([loss, clip_by_assignment(model.parameters(), max_norm)])
        return loss

    optimizer.step(closure)
    return tuple(found)


def step_as_a_dictionary_of_stages(model, optimizer, parts, learning_rate, max_norm):
    def rate():
        for group in optimizer.param_groups:
            group["lr"] = learning_rate

    stages = {
        "zero": optimizer.zero_grad,
        "rate": rate,
        "loss": lambda: accumulate_with_gradient_argument(model, parts),
        "norm": lambda: clip_with_dot_products(model.parameters(), max_norm),
        "step": optimizer.step,
    }
    results = {name: stage() for name, stage in stages.items()}
    return results["loss"], results["norm"]


# --- save_run --------------------------------------------------------------------------------------------------------


def contents(model, optimizer, step):
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "random": torch.get_rng_state(),
    }


def save_by_rename(path, model, optimizer, step):
    new = path.parent / (path.name + ".new")
    torch.save(contents(model, optimizer, step), new)
    new.replace(path)


def save_by_move(path, model, optimizer, step):
    new = str(path) + "~"
    torch.save(contents(model, optimizer, step), new)
    shutil.move(new, path)


def save_by_tempfile(path, model, optimizer, step):
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        torch.save(contents(model, optimizer, step), file)
    os.replace(file.name, path)


def save_through_memory(path, model, optimizer, step):
    import io

    memory = io.BytesIO()
    torch.save(contents(model, optimizer, step), memory)
    new = Path(str(path) + ".tmp")
    new.write_bytes(memory.getvalue())
    os.rename(new, path)


def save_copies(path, model, optimizer, step):
    everything = {"step": int(step), "random": torch.random.get_rng_state().clone()}
    everything["model"] = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    everything["optimizer"] = optimizer.state_dict()
    new = path.with_name("unfinished")
    with open(new, "wb") as file:
        torch.save(everything, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def save_with_more(path, model, optimizer, step):
    try:
        torch.save(contents(model, optimizer, step) | {"comment": "day one"}, path.with_suffix(".part"))
    except Exception:
        path.with_suffix(".part").unlink()
        raise
    path.with_suffix(".part").rename(path)
    return path


# --- diagnose --------------------------------------------------------------------------------------------------------


def diagnose_by_dictionary(run):
    return dict(ROOMS)[run]


def diagnose_by_branches(run):
    for letter, bug in ROOMS.items():
        if run == letter:
            return bug
    return None


def diagnose_by_list(run):
    return list(ROOMS.values())["ABCDEFGH".index(run)]


def diagnose_by_match(run):
    bugs = tuple(ROOMS[letter] for letter in "ABCDEFGH")
    match run:
        case "A":
            return bugs[0]
        case _:
            return bugs[ord(run) - ord("A")]


def diagnose_by_inverse(run):
    rooms = {bug: letter for letter, bug in ROOMS.items()}
    return next(bug for bug in rooms if rooms[bug] == run)


def diagnose_by_get(run):
    return ROOMS.get(run, "")


RIGHT = {
    "11.1": [
        shift_by_narrow,
        shift_by_roll,
        shift_row_by_row,
        shift_by_index,
        shift_by_split,
        shift_transposed,
    ],
    "11.2": [
        loss_of_torch,
        loss_by_nll,
        loss_by_selection,
        loss_by_one_hot,
        loss_by_largest,
        loss_without_normalizing_twice,
        loss_in_double,
    ],
    "11.3": [
        adamw_by_lerp,
        adamw_as_pytorch_has_it,
        adamw_by_copy,
        adamw_by_slices,
        adamw_by_data,
        adamw_number_by_number,
        adamw_that_returns_the_weight,
    ],
    "11.4": [
        cosine_by_branches,
        cosine_by_numpy,
        cosine_by_interpolation,
        cosine_by_minimum,
        cosine_by_torch,
        cosine_by_sine,
    ],
    "11.5": [
        clip_of_torch,
        clip_by_norms,
        clip_one_long_vector,
        clip_by_assignment,
        clip_by_clamp,
        clip_with_dot_products,
    ],
    "11.6": [
        accumulate_sums,
        accumulate_in_one_graph,
        accumulate_all_at_once,
        accumulate_with_gradient_argument,
        accumulate_by_autograd,
    ],
    "11.7": [
        step_in_order,
        step_that_zeroes_last,
        step_that_zeroes_the_model,
        step_with_none,
        step_by_closure,
        step_as_a_dictionary_of_stages,
    ],
    "11.8": [save_by_rename, save_by_move, save_by_tempfile, save_through_memory, save_copies, save_with_more],
    "11.9": [
        diagnose_by_dictionary,
        diagnose_by_branches,
        diagnose_by_list,
        diagnose_by_match,
        diagnose_by_inverse,
        diagnose_by_get,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What wrong answers are told -------------------------------------------------------------------------------------


def test_a_padded_batch_is_shown_with_its_counts():
    def mean_of_all(logits, targets, ignore_index=-100):
        losses = F.cross_entropy(logits.movedim(-1, 1), targets, ignore_index=ignore_index, reduction="none")
        return losses.mean()

    verdict = judge(find("11.2"), mean_of_all)
    assert verdict.mistake == "mean over ignored targets too"
    assert "7 of 15 targets are -100" in verdict.lines[1]


def test_a_weight_that_is_only_given_another_name_is_recognized():
    def rebinding(weight, gradient, mean, square, step, lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0):
        mean.lerp_(gradient, 1 - beta1)
        square.lerp_(gradient**2, 1 - beta2)
        update = mean / (1 - beta1**step) / ((square / (1 - beta2**step)).sqrt() + eps)
        weight = weight - lr * (update + weight_decay * weight)

    assert judge(find("11.3"), rebinding).mistake == "weight not changed"


def test_all_three_rebound_is_told_that_nothing_changed():
    def rebinding(weight, gradient, mean, square, step, lr, *rest):
        mean = mean + gradient
        square = square + gradient
        weight = weight - lr * mean / square

    verdict = judge(find("11.3"), rebinding)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.lines[0].startswith("It returned nothing and changed nothing.")


def test_a_generator_that_is_used_up_is_told_from_a_wrong_norm():
    def used_up(weights, max_norm):
        norm = sum(float(w.grad.square().sum()) for w in weights if w.grad is not None) ** 0.5
        for w in weights:
            w.grad *= max_norm / norm
        return norm

    verdict = judge(find("11.5"), used_up)
    assert verdict.mistake == "never clipped"
    assert "read only once" in verdict.lines[0]


def test_a_backward_pass_after_the_loop_is_recognized():
    def late(model, parts):
        counts = [int((y != -100).sum()) for _, y in parts]
        total = 0.0
        for (x, y), count in zip(parts, counts, strict=True):
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten()) * count / sum(counts)
            total += loss.item()
        loss.backward()
        return total

    assert judge(find("11.6"), late).mistake == "backward after the loop"


def test_gradients_from_before_that_are_forgotten_are_noticed():
    def forgetting(model, parts):
        model.zero_grad()
        return accumulate_sums(model, parts)

    verdict = judge(find("11.6"), forgetting)
    assert verdict.mistake == "old gradients forgotten"
    assert "gradients of 1 from before" in verdict.lines[1]
    assert judge(find("11.6"), accumulate_then_divide).mistake == "old gradients divided, too"


def test_clipping_after_the_step_is_recognized():
    def late(model, optimizer, parts, learning_rate, max_norm):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.zero_grad()
        loss = accumulate_sums(model, parts)
        optimizer.step()
        return loss, clip_by_norms(model.parameters(), max_norm)

    assert judge(find("11.7"), late).mistake == "steps unclipped"


def test_a_checkpoint_that_is_removed_first_is_said_to_be_gone():
    def removing(path, model, optimizer, step):
        path.unlink(missing_ok=True)
        save_by_rename(path, model, optimizer, step)

    verdict = judge(find("11.8"), removing)
    assert verdict.mistake == "old file removed first"
    assert "now that is gone" in verdict.lines[1]


def removing_before_the_rename(path, model, optimizer, step):
    new = path.with_suffix(".new")
    torch.save(contents(model, optimizer, step), new)
    if path.exists():
        os.remove(path)
    new.rename(path)


def renaming_the_old_file_away(path, model, optimizer, step):
    new, old = path.with_suffix(".new"), path.with_suffix(".old")
    torch.save(contents(model, optimizer, step), new)
    if path.exists():
        path.rename(old)
    os.rename(new, path)
    old.unlink(missing_ok=True)


@pytest.mark.parametrize("answer", [removing_before_the_rename, renaming_the_old_file_away])
def test_a_moment_in_which_no_file_has_the_name_is_found(answer):
    verdict = judge(find("11.8"), answer)
    assert verdict.mistake == "old file removed before the new one is renamed"
    assert "no file has that name now" in verdict.lines[1]


def test_a_finished_file_that_is_copied_over_the_old_one_is_refused():
    def copying(path, model, optimizer, step):
        new = path.with_suffix(".new")
        torch.save(contents(model, optimizer, step), new)
        shutil.copyfile(new, path)
        new.unlink()

    verdict = judge(find("11.8"), copying)
    assert verdict.mistake == "copied over the old file"
    assert "into the old file itself" in verdict.lines[1]


def test_a_file_under_another_name_is_told_by_that_name():
    def elsewhere(path, model, optimizer, step):
        torch.save(contents(model, optimizer, step), path.with_suffix(".ckpt"))

    verdict = judge(find("11.8"), elsewhere)
    assert "wrote no file `run.pt`. It wrote run.ckpt." in verdict.lines[0]


def test_a_run_that_saving_has_changed_is_noticed():
    def rounding(path, model, optimizer, step):
        save_by_rename(path, model, optimizer, step)
        with torch.no_grad():
            model.weight.mul_(0.5)

    assert judge(find("11.8"), rounding).lines[0].startswith("The run itself went on differently")


def test_a_diagnosis_that_is_misspelled_is_shown_the_list():
    verdict = judge(find("11.9"), lambda run: "overfitting" if run == "B" else ROOMS[run])
    assert verdict.lines[0].startswith("Run B: 'overfitting' is not one of the eight")


def test_two_wrong_diagnoses_are_answered_by_the_signs_of_the_first():
    answers = ROOMS | {"A": "rate too high", "D": "no shuffle"}
    lines = judge(find("11.9"), lambda run: answers[run]).lines
    assert lines[0].startswith("Run A is not 'rate too high'. Its signs should be these")
