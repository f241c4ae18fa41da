"""Tensors: made from values, read back, assigned, and used where Python or NumPy expects something else."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

from chainrule.apply import apply_several, outputs_of
from chainrule.errors import DtypeError, GradientError, IndexingError, ShapeError, TraceError
from chainrule.ops import matmul, stop_gradient, tanh
from chainrule.state import current_recording, current_tracing, no_grad, recording
from chainrule.tensor import Tensor, as_tensor, operands, tensor
from chainrule.trace import trace
from chainrule.types import DTYPES, bfloat16, bool_, float32, float64, int32, int64, uint8


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, float32), (2, int64), (True, bool_), ([1.0, 2], float32), ([1, 2], int64), ([[True], [False]], bool_),
        (np.float64(1), float64), (np.ones(2), float64), (np.ones(2, np.float16), float32),
        (np.ones(2, ">f8"), float64), (np.ones(2, np.int8), int32), (np.ones(2, np.uint16), int32),
        (np.ones(2, np.uint32), int64),
        (np.ones(2, np.uint8), uint8), (np.zeros((2, 0), np.int32), int32), ([], float32),
    ],
)  # fmt: skip
def test_values_get_the_data_type_that_holds_them(value, dtype):
    x = tensor(value)
    assert x.dtype is dtype and x.value.dtype == dtype.numpy
    assert x.shape == np.shape(value)
    np.testing.assert_array_equal(x.numpy(), value)


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_a_data_type_can_be_demanded(dtype):
    x = tensor([0, 1, 1], dtype=dtype)
    assert x.dtype is dtype
    np.testing.assert_array_equal(x.numpy(), [0, 1, 1])
    assert tensor(1, dtype=dtype.name).dtype is dtype


def test_a_tensor_holds_a_copy():
    array = np.zeros(2)
    x = tensor(array)
    array[0] = 1
    y = tensor(x)
    assert x.tolist() == y.tolist() == [0.0, 0.0]
    assert y.value is not x.value


def test_as_tensor_shares_memory_and_leaves_tensors_alone():
    array = np.zeros(2)
    assert as_tensor(array).value is array
    x = tensor(1.0)
    assert as_tensor(x) is x


@pytest.mark.parametrize(("value", "dtype"), [(2**70, None), (300, "uint8"), (-1, "uint8"), (2**31, "int32")])
def test_a_python_integer_that_does_not_fit_is_an_error(value, dtype):
    with pytest.raises(DtypeError, match=f"{value} does not fit"):
        tensor(value, dtype)


@pytest.mark.parametrize("value", ["text", [None], {"a": 1}, np.ones(2, np.complex64)])
def test_what_is_no_number_is_an_error(value):
    with pytest.raises(DtypeError, match=r"no data type of this library|is made of numbers, not of"):
        tensor(value)


def test_a_list_of_tensors_loses_no_gradient_silently():
    w = tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="join them with `stack`"):
        tanh([[w[0], w[1]]])
    with no_grad():
        assert tanh([w[0], w[1]]).shape == (2,)
    assert tensor([w[0], w[1]]).tolist() == [1.0, 2.0]


def test_a_numpy_float64_number_counts_as_a_python_float_beside_a_tensor():
    x = tensor([3.0])
    assert (x / np.sqrt(2)).dtype is float32 and (np.float64(2) ** x).dtype is float32
    assert (tensor([1, 2]) * np.float64(0.5)).dtype is float32
    assert (tensor([3.0], "float64") + np.float64(1)).dtype is float64
    assert (x + np.ones(1)).dtype is float64
    assert operands(np.float64(1), 1.0)[0].dtype is float64


def test_ragged_lists_are_an_error():
    with pytest.raises(ShapeError, match="ragged lists"):
        tensor([[1.0, 2.0], [3.0]])


def test_only_floats_can_require_a_gradient():
    assert tensor(1.0, requires_grad=True).requires_grad
    with pytest.raises(DtypeError, match="only floats can require a gradient, not int64"):
        tensor(1, requires_grad=True)


def test_properties_say_what_it_is():
    x = tensor(np.ones((2, 3), np.float32), name="weight")
    assert (x.shape, x.ndim, x.size, x.dtype, x.name, len(x)) == ((2, 3), 2, 6, float32, "weight", 2)


def test_values_are_read_as_numbers_lists_and_arrays():
    assert tensor([[2.5]]).item() == float(tensor(2.5)) == 2.5
    assert int(tensor(3)) == 3 and [10, 20][tensor(1)] == 20
    assert tensor([[1, 2]]).tolist() == [[1, 2]]
    assert np.asarray(tensor([1.0]), dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.add(np.asarray(tensor([1, 2])), 1), [2, 3])
    assert tensor([1.5], dtype="bfloat16").numpy().dtype == np.float32
    assert bool(tensor([3.0])) and not tensor(False)


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda: tensor([1, 2]).item(), ShapeError, "one element is needed, not i64[2]"),
        (lambda: float(tensor([])), ShapeError, "one element is needed"),
        (lambda: bool(tensor([True, False])), ShapeError, "use `all` or `any`"),
        (lambda: len(tensor(1.0)), ShapeError, "without axes has no length"),
        (lambda: [1, 2][tensor(1.0)], DtypeError, "cannot be used as an index"),
        (lambda: [1, 2][tensor(True)], DtypeError, "cannot be used as an index"),
    ],
)
def test_a_wrong_reading_says_what_is_wrong(use, error, words):
    with pytest.raises(error) as caught:
        use()
    assert words in str(caught.value)


def test_iterating_gives_the_parts_along_the_first_axis():
    assert [row.tolist() for row in tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    with pytest.raises(ShapeError):
        iter(tensor(1.0))


def test_a_tensor_is_itself_in_sets_and_compares_by_element():
    x, y = tensor([1.0]), tensor([1.0])
    assert len({x, y, x}) == 2
    assert (x == y).tolist() == [True] and (x != y).tolist() == [False]


def test_numpy_arrays_leave_mixed_expressions_to_tensors():
    array = np.array([1.0, 2.0])
    for result in (array + tensor([1.0, 1.0], "float64"), array * tensor([1.0, 1.0]), np.float64(2) * tensor([1.0])):
        assert isinstance(result, Tensor)
    assert isinstance(np.eye(2) @ tensor(np.eye(2)), Tensor)


def test_numpy_functions_take_the_value_and_lose_no_gradient_silently():
    x, w = tensor([1.0, 2.0]), tensor([1.0, 2.0], requires_grad=True)
    assert np.sum(x) == 3.0 and np.concatenate([x, x], axis=0).tolist() == [1.0, 2.0, 1.0, 2.0]
    assert np.allclose(w.detach(), x)
    with pytest.raises(GradientError, match=r"numpy\.mean would lose the gradient of f32\[2\]"):
        np.mean(w)
    with no_grad():
        assert np.argmax(w) == 1
    with pytest.raises(TraceError, match="only types are known"):
        trace(lambda x: np.sum(x))([1.0])


def test_a_number_is_formatted_as_python_does():
    assert f"{tensor(1.23456):.3f}" == "1.235" and f"{tensor([1.0])}" == "tensor([1.], f32[1])"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_tensors_of_their_own(copied):
    w = tensor([1.0, 2.0], "bfloat16", requires_grad=True, name="w")
    (w * w).sum().backward()
    new = copied(w)
    assert (new.type, new.name, new.requires_grad, new.source) == (w.type, "w", True, w.source)
    assert new.tolist() == [1.0, 2.0] and new.grad.tolist() == [2.0, 4.0]
    assert new.serial > w.serial and new.changed == new.serial
    new.assign([0.0, 0.0])
    assert w.tolist() == [1.0, 2.0]


def test_copies_of_what_was_recorded_or_traced_are_errors():
    w = tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match="detach"):
        copy.deepcopy(w * w)
    with pytest.raises(TraceError, match="only types are known"):
        trace(lambda x: copy.copy(w))([1.0])


def test_printing_shows_value_type_and_whether_it_wants_a_gradient():
    assert repr(tensor([1.0, 2.0], requires_grad=True)) == "tensor([1., 2.], f32[2], requires_grad=True)"
    assert repr(tensor([1.0], requires_grad=True) + 1.0) == "tensor([2.], f32[1])"
    assert "..." in repr(tensor(np.zeros(1000))) and repr(tensor(np.zeros(1000))).endswith("f64[1000])")


def test_an_assigned_array_is_copied():
    w, value = tensor([1.0, 2.0]), np.array([3.0, 4.0], np.float32)
    w.assign(value)
    value[0] = 0.0
    assert w.tolist() == [3.0, 4.0]


def test_a_value_is_assigned_as_a_whole():
    w = tensor([1.0, 2.0], requires_grad=True)
    w.assign(w * 2.0)
    assert w.tolist() == [2.0, 4.0] and w.op is None and w.requires_grad
    w.assign(np.array([5.0, 6.0], np.float32))
    assert w.tolist() == [5.0, 6.0]
    n = tensor(1)
    n.assign(3)
    assert n.item() == 3


@pytest.mark.parametrize(
    ("target", "value", "error", "words"),
    [
        (tensor([1.0, 2.0]), [1.0], ShapeError, "a value of shape [1] does not fit f32[2]"),
        (tensor([1.0]), np.ones(1), DtypeError, "a value of type float64 does not fit f32[1]"),
        (tensor(1), 1.5, DtypeError, "a value of type float32 does not fit i64[]"),
        (tensor(True), 2, DtypeError, "a value of type int64 does not fit bool[]"),
        (tensor([1.0], requires_grad=True) + 1.0, [1.0], GradientError, "only a tensor made by `tensor`"),
    ],
)
def test_a_value_of_another_type_cannot_be_assigned(target, value, error, words):
    before = target.tolist()
    with pytest.raises(error) as caught:
        target.assign(value)
    assert words in str(caught.value)
    assert target.tolist() == before


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((tensor(1.0), 2), float32), ((tensor(1.0), np.ones(1)), float64), ((tensor(1), 2.5), float32),
        ((tensor(np.uint8(1)), 2), uint8), ((tensor(1.0), tensor(1), tensor(True)), float32), ((True, False), bool_),
        ((1, 2.0), float32), ((tensor(True), 2), int64), ((tensor(1.0, "bfloat16"), 2.0), float32),
        ((tensor(1.0, "float64"), 2.0), float64), ((tensor(1.0, "bfloat16"), tensor(1.0, "bfloat16")), float32),
        ((np.float32(1), 2.0), float32), ((np.int32(1), 2), int32),
    ],
)  # fmt: skip
def test_operands_meet_in_one_data_type_and_python_numbers_take_it(values, dtype):
    found = operands(*values)
    assert {x.dtype for x in found} == {dtype}
    assert [x.tolist() for x in found] == [np.asarray(v).astype(found[0].numpy().dtype).tolist() for v in values]


def test_operands_can_be_brought_to_a_given_data_type():
    assert [x.dtype for x in operands(1, tensor(2), dtype=bfloat16)] == [bfloat16, bfloat16]


def test_an_error_shows_all_inputs_with_their_lines_and_the_line_in_question():
    x, w = (
        tensor(np.ones((32, 784), np.float32), name="x"),
        tensor(np.ones((512, 10), np.float32), name="model.2.weight"),
    )
    with pytest.raises(ShapeError) as caught:
        matmul(x, w)
    lines = str(caught.value).splitlines()
    assert lines[0] == "matmul: inner sizes differ (784 and 512)"
    assert lines[1].split()[:5] == ["left", "f32[32,", "784]", "from", "x,"]
    assert lines[2].split()[:5] == ["right", "f32[512,", "10]", "from", "model.2.weight,"]
    assert "test_tensor.py:" in lines[3] and lines[3].endswith("matmul(x, w)")


def test_a_data_type_that_an_operation_does_not_take_is_named():
    from_int = tensor([1, 2])
    assert tanh(from_int).dtype is float32  # the function converts; the operation itself does not
    with pytest.raises(IndexingError, match="indices must be integers"):
        from_int[tensor([0.5])]


def test_nothing_is_recorded_unless_an_input_requires_a_gradient():
    x, w = tensor([1.0]), tensor([1.0], requires_grad=True)
    assert (x + x).op is None and (x + x).inputs == ()
    y = x + w
    assert y.requires_grad and y.op.name == "add" and y.inputs == (x, w)
    assert not (w > 0.5).requires_grad
    assert not stop_gradient(w).requires_grad


def test_no_grad_records_nothing_also_as_a_decorator():
    w = tensor([1.0], requires_grad=True)
    with no_grad():
        assert not current_recording()
        assert (w * w).op is None
        with recording(True):
            assert (w * w).requires_grad

    @no_grad()
    def double():
        return w + w

    assert double().op is None
    assert current_recording()


def test_what_a_thread_does_is_its_own_business():
    seen = []
    w = tensor([1.0], requires_grad=True)
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((w * w).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_grad_is_a_plain_attribute_outside_of_a_trace():
    w = tensor([1.0], requires_grad=True)
    assert w.grad is None
    w.grad = tensor([2.0])
    assert w.grad.tolist() == [2.0]


def test_a_traced_value_cannot_be_read_and_the_error_says_where_it_was_made():
    def branch(x):
        y = x + x
        return y if y.sum() > 0 else x

    with pytest.raises(TraceError) as caught:
        trace(branch)(np.ones(3))
    assert "the value of a traced tensor bool[] was asked for at test_tensor.py:" in str(caught.value)
    assert "return y if y.sum() > 0 else x" in str(caught.value)
    for read in (float, int, bool, np.asarray, Tensor.tolist, Tensor.item):
        with pytest.raises(TraceError):
            trace(lambda x, read=read: x + read(x.sum()))(np.ones(3))


def test_a_traced_value_cannot_become_a_leaf():
    with pytest.raises(TraceError, match="a traced value cannot become a new leaf"):
        trace(lambda x: tensor(x))(np.ones(3))
    w = tensor([1.0])
    with pytest.raises(TraceError, match="a traced value cannot become a new leaf"):
        trace(lambda x: x + tensor(w))(np.ones(3))


def test_a_traced_tensor_prints_its_type_and_line():
    shown = []
    trace(lambda x: shown.append(repr(x)) or x)(np.ones(3))
    assert shown[0].startswith("tensor(traced at test_tensor.py:") and shown[0].endswith("f64[3])")
    assert current_tracing() is None


def test_operations_with_several_outputs_give_a_list(halves):
    x = tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    low, high = apply_several(halves, x)
    assert low.tolist() == [1.0, 2.0] and high.tolist() == [3.0, 4.0]
    bundle = low.inputs[0]
    assert [str(t) for t in bundle.types] == ["f32[2]", "f32[2]"]
    assert [y.tolist() for y in outputs_of(bundle)] == [[1.0, 2.0], [3.0, 4.0]]
    assert low.requires_grad and low.op.name == "pick"
