"""The JSON of a file of torch.export: the graph and what its weights are. What it may say, string by string."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from conformance.core.errors import UserError
from conformance.core.text import shortened
from conformance.pt2.expressions import require_expression, require_guard

_DEEPEST = 64
_Check = Callable[[str], None]


def _pattern(pattern: str) -> _Check:
    compiled = re.compile(pattern, re.ASCII)

    def require(text: str) -> None:
        if not compiled.fullmatch(text):
            raise UserError(f"{shortened(text, 80)!r} is not what torch writes there")

    return require


# A name becomes Python source in the graph's code; a path is where a module keeps something.
_identifier = _pattern(r"(?:[A-Za-z_]\w{0,500})?")
_path = _pattern(r"[^\"'\\\x00-\x1f\x7f]{0,1000}")
_anything = _pattern(r"(?s:.{0,100000})")
_word = _pattern(r"\w{0,100}")
_operator = _pattern(
    r"torch\.ops\.(?!load_library|import_module|loaded)(?!__)\w+"
    r"(?:\.(?:__i?(?:and|or|xor|lshift|rshift)__|(?!__)\w+)){1,2}"
    r"|_operator\.(?:eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|lshift|rshift|getitem)"
    r"|math\.(?!__)\w+|torch\.sym_\w+|torch\._sym_\w+"
)
_payload = _pattern(r"(?:weight|tensor)_[0-9]{1,6}")
_range = _pattern(r"(?:u|zuf)[0-9]{1,4}|(?!u|zuf)[\w*+/() ,-]{1,500}")


def _structure(text: str) -> None:
    """How inputs and outputs are nested: a specification that names a module has torch import it."""
    try:
        _require_plain(json.loads(text)[1], 0)
    except (ValueError, TypeError, LookupError, RecursionError):
        raise UserError(f"{shortened(text, 80)!r} is no plain nesting of tuples, lists and dictionaries") from None


def _require_plain(spec: Any, depth: int) -> None:
    if depth > _DEEPEST or spec["type"] not in _CONTAINERS:
        raise ValueError
    if spec["context"] is not None and not _is_flat(json.loads(spec["context"])):
        raise ValueError
    for child in spec["children_spec"]:
        _require_plain(child, depth + 1)


def _is_flat(value: Any) -> bool:
    """Null, a number, a string, or a list of these: the keys of a dictionary."""
    return all(one is None or isinstance(one, str | int) for one in (value if isinstance(value, list) else [value]))


_CONTAINERS = (
    None,
    "builtins.tuple",
    "builtins.list",
    "builtins.dict",
    "collections.OrderedDict",
    "collections.deque",
)

# What a string may be, by the key it stands under, itself or in a list.
_STRINGS: dict[str, _Check] = {
    "expr_str": require_expression,
    "guards_code": require_guard,
    **dict.fromkeys(("name", "as_name", "forward_arg_names"), _identifier),
    **dict.fromkeys(("target", "as_operator"), _operator),
    **dict.fromkeys(("in_spec", "out_spec"), _structure),
    **dict.fromkeys(("parameter_name", "buffer_name", "tensor_constant_name", "user_input_name", "fqn"), _path),
    **dict.fromkeys(("as_string", "as_strings", "metadata"), _anything),
    "path_name": _payload,
    "type": _word,
    "verifiers": _word,
    "torch_version": _path,
}
# Objects whose keys are names of the file's own, and what these may be.
_NAMED: dict[str, _Check] = {
    **dict.fromkeys(("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"), _identifier),
    "range_constraints": _range,
    "metadata": _word,
    "opset_version": _word,
    "config": _path,
    "as_string_to_argument": _path,
}
# Everything else that torch writes: numbers, and what holds the above. What is not here is left out, as torch does.
_KEYS = (
    "graph_module graph signature module_call_graph inputs outputs nodes input_specs output_specs arg kind value "
    "sizes strides storage_offset dtype layout device index requires_grad hint min_val max_val real imag persistent "
    "schema_version major minor is_single_tensor_return is_hop_single_tensor_return is_param use_pickle tensor_meta "
    "user_input parameter buffer tensor_constant token constant_input user_output loss_output buffer_mutation "
    "parameter_mutation gradient_to_parameter gradient_to_user_input user_input_mutation "
    "as_none as_tensor as_tensors as_int as_ints as_int_lists as_float as_floats as_float_lists as_bool as_bools "
    "as_sym_int as_sym_ints as_sym_bool as_sym_bools as_sym_float as_sym_floats as_scalar_type as_memory_format "
    "as_layout as_device as_graph as_optional_tensor as_optional_tensors as_complex as_nested_tensors as_expr"
)
_PLAIN = frozenset(_KEYS.split())
# Objects of anyone's own classes, which torch makes by unpickling them.
_OBJECTS = ("as_custom_obj", "custom_obj", "custom_obj_values", "class_fqn")
_NOT_FINITE = ("Infinity", "-Infinity", "NaN")
# Of a node: the module it comes from. The rest looks functions of torch up by their names, and nobody needs it here.
_KEPT_METADATA = "nn_module_stack"


def checked_json(content: bytes) -> bytes:
    """The same JSON with nothing in it but what is known to be harmless. Raises UserError for what is not."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"no JSON, or nested too deeply: {shortened(str(error), 100)}") from None
    return json.dumps(_checked(data, "", 0)).encode()


def _checked(value: Any, key: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise UserError(f"nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        return _checked_object(value, key, depth + 1)
    if isinstance(value, list):
        checked = [_checked(one, key, depth + 1) for one in value]
        return [] if key == "guards_code" else checked  # they are conditions on inputs that are never given
    if isinstance(value, str):
        _require_string(value, key)
    elif key == "use_pickle" and value:
        raise UserError("it holds pickled objects, which are code: leave out what is no plain tensor")
    return value


def _checked_object(value: dict[str, Any], key: str, depth: int) -> dict[str, Any]:
    if key in _NAMED:
        for name in value:
            _require(_NAMED[key], name, key)
        if key == "metadata":
            value = {name: text for name, text in value.items() if name == _KEPT_METADATA}
        return {name: _checked(one, "metadata" if key == "metadata" else "", depth) for name, one in value.items()}
    if objects := next((name for name in _OBJECTS if value.get(name)), None):
        raise UserError(f"it holds objects of classes of its own ({objects}), which are code")
    known = (name for name in value if name in _PLAIN or name in _STRINGS or name in _NAMED)
    return {name: _checked(value[name], name, depth) for name in known}


def _require_string(text: str, key: str) -> None:
    if key not in _STRINGS:
        if text not in _NOT_FINITE:
            raise UserError(f"{key or 'it'}: {shortened(text, 80)!r} where a number or an object belongs")
        return
    _require(_STRINGS[key], text, key)


def _require(check: _Check, text: str, key: str) -> None:
    try:
        check(text)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
