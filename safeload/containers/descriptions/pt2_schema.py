"""The fields that torch 2.13 writes into a program's JSON, and what it does with the text of each: a table to review.

Source: torch/_export/serde/schema.py (8.20) for the fields; serialize.py and the files named below for what torch does
with them. The type of a field is a check of its text (see `pt2_program.py`) or another record. `[T]` is a list, `{T}`
an object with free keys, `{name:T}` an object whose keys are checked as names.

    name      an identifier: it stands unquoted in Python source that torch/fx/graph.py builds and runs with exec
    path      dotted names of parameters and submodules: quoted into the same source by `_format_target`
    target    an operator: `deserialize_operator` walks it with getattr from torch, operator or math
    expr      a size: `_parse_sym_expr` gives it to sympy.sympify
    kernel    an operator that C++ looks up by name in its table of registered ones
    guard     a condition: torch/export/_unlift.py compiles it with exec
    treespec  a JSON of its own: torch/utils/_pytree.py imports what a defaultdict or an enum in it names
    class     the class of a custom object; its constant is a pickle of its own
    free      never evaluated: printed with repr, compared, or looked up in a table of the process
    number    numbers, true, false, null, and the texts that torch writes for infinities

torch resolves `source_fn_stack` of a node's metadata with getattr and compares it; it calls nothing, so it is free.
Holds data only.
"""

from __future__ import annotations

_UNIONS: dict[str, dict[str, str]] = {
    "SymExprHint": {"as_int": "number", "as_bool": "number", "as_float": "number"},
    "Sym": {"as_expr": "SymExpr", "as_int": "number", "as_float": "number", "as_bool": "number"},
    "SymArgument": {"as_name": "name", "as_int": "number", "as_float": "number", "as_bool": "number"},
    "OptionalTensorArgument": {"as_tensor": "TensorArgument", "as_none": "number"},
    "Argument": {
        "as_none": "number", "as_tensor": "TensorArgument", "as_tensors": "[TensorArgument]", "as_int": "number",
        "as_ints": "[number]", "as_float": "number", "as_floats": "[number]", "as_string": "free",
        "as_strings": "[free]", "as_sym_int": "SymArgument", "as_sym_ints": "[SymArgument]",
        "as_scalar_type": "number", "as_memory_format": "number", "as_layout": "number", "as_device": "Device",
        "as_bool": "number", "as_bools": "[number]", "as_sym_bool": "SymArgument", "as_sym_bools": "[SymArgument]",
        "as_graph": "GraphArgument", "as_optional_tensors": "[OptionalTensorArgument]",
        "as_custom_obj": "CustomObjArgument", "as_operator": "target", "as_sym_float": "SymArgument",
        "as_sym_floats": "[SymArgument]", "as_optional_tensor": "OptionalTensorArgument", "as_complex": "ComplexValue",
        "as_nested_tensors": "[[TensorArgument]]", "as_int_lists": "[[number]]",
        "as_string_to_argument": "{Argument}", "as_float_lists": "[[number]]",
    },
    "ConstantValue": {
        "as_none": "number", "as_int": "number", "as_float": "number", "as_string": "free", "as_bool": "number",
    },
    "InputSpec": {
        "user_input": "UserSpec", "parameter": "StateSpec", "buffer": "StateSpec", "tensor_constant": "StateSpec",
        "custom_obj": "CustomObjSpec", "token": "TensorSpec", "constant_input": "ConstantSpec",
    },
    "OutputSpec": {
        "user_output": "UserSpec", "loss_output": "TensorSpec", "buffer_mutation": "StateSpec",
        "gradient_to_parameter": "StateSpec", "gradient_to_user_input": "StateSpec",
        "user_input_mutation": "StateSpec", "token": "TensorSpec", "parameter_mutation": "StateSpec",
    },
}  # fmt: skip

FIELDS: dict[str, dict[str, str]] = {
    **_UNIONS,
    "Device": {"type": "word", "index": "number"},
    "SymExpr": {"expr_str": "expr", "hint": "SymExprHint"},
    "TensorMeta": {
        "dtype": "number", "sizes": "[Sym]", "requires_grad": "number", "device": "Device", "strides": "[Sym]",
        "storage_offset": "Sym", "layout": "number",
    },
    "TensorArgument": {"name": "name"},
    "GraphArgument": {"name": "name", "graph": "Graph"},
    "CustomObjArgument": {"name": "name", "class_fqn": "class"},
    "ComplexValue": {"real": "number", "imag": "number"},
    "NamedArgument": {"name": "name", "arg": "Argument", "kind": "number"},
    "Node": {
        "target": "target", "inputs": "[NamedArgument]", "outputs": "[Argument]", "metadata": "{free}",
        "is_hop_single_tensor_return": "number", "name": "name",
    },
    "Graph": {
        "inputs": "[Argument]", "outputs": "[Argument]", "nodes": "[Node]", "tensor_values": "{name:TensorMeta}",
        "sym_int_values": "{name:Sym}", "sym_bool_values": "{name:Sym}", "is_single_tensor_return": "number",
        "custom_obj_values": "{name:CustomObjArgument}", "sym_float_values": "{name:Sym}",
    },
    "UserSpec": {"arg": "Argument"},
    "TensorSpec": {"arg": "TensorArgument"},
    "CustomObjSpec": {"arg": "CustomObjArgument", "custom_obj_name": "path"},
    "ConstantSpec": {"name": "name", "value": "ConstantValue"},
    "StateSpec": {
        "arg": "TensorArgument", "parameter_name": "path", "buffer_name": "path", "tensor_constant_name": "path",
        "user_input_name": "path", "persistent": "number",
    },
    "GraphSignature": {"input_specs": "[InputSpec]", "output_specs": "[OutputSpec]"},
    "RangeConstraint": {"min_val": "number", "max_val": "number"},
    "ModuleCallSignature": {
        "inputs": "[Argument]", "outputs": "[Argument]", "in_spec": "in_spec", "out_spec": "treespec",
        "forward_arg_names": "[name]",
    },
    "ModuleCallEntry": {"fqn": "path", "signature": "ModuleCallSignature"},
    "NamedTupleDef": {"field_names": "[name]"},
    "GraphModule": {
        "graph": "Graph", "signature": "GraphSignature", "module_call_graph": "[ModuleCallEntry]",
        "metadata": "{free}", "treespec_namedtuple_fields": "{NamedTupleDef}",
    },
    "SchemaVersion": {"major": "number", "minor": "number"},
    "ExportedProgram": {
        "graph_module": "GraphModule", "opset_version": "{number}", "range_constraints": "{expr:RangeConstraint}",
        "schema_version": "SchemaVersion", "verifiers": "[word]", "torch_version": "free", "guards_code": "[guard]",
        "dialect": "word",  # torch 2.2 to 2.4
    },
    # AOTInductor: the operators that compiled code calls back for, in a `.json` beside it.
    "ExternKernelNodes": {"nodes": "[ExternKernelNode]"},
    "ExternKernelNode": {"name": "free", "node": "KernelNode"},
    "KernelNode": {
        "target": "kernel", "inputs": "[NamedArgument]", "outputs": "[Argument]", "metadata": "{free}",
        "is_hop_single_tensor_return": "number", "name": "name",
    },
}  # fmt: skip
"""record -> field -> type. A union is a record with one key, which says the kind of the value."""

OPERATORS = frozenset(
    f"_operator.{name}"
    for name in (
        "getitem", "eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod", "pow",
        "truediv", "and_", "or_", "xor", "not_", "abs", "lshift", "rshift",
    )
) | frozenset(
    f"math.{name}"
    for name in (
        "trunc", "ceil", "floor", "sqrt", "cos", "cosh", "sin", "sinh", "tan", "tanh", "asin", "acos", "atan", "exp",
        "log", "log2", "asinh",
    )
) | frozenset(
    f"torch.{name}"
    for name in ("sym_int", "sym_float", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt", "sym_sum")
) | frozenset(
    f"torch._functorch.predispatch.{name}"
    for name in (
        "_add_batch_dim", "_remove_batch_dim", "_vmap_increment_nesting", "_vmap_decrement_nesting",
        "lazy_load_decompositions", "_make_dual", "_unpack_dual", "_jvp_increment_nesting", "_jvp_decrement_nesting",
        "_unwrap_for_grad", "_enter_dual_level", "_exit_dual_level",
    )
) | frozenset({
    "builtins.round", "torch.autograd.grad_mode.set_grad_enabled", "torch._C._set_grad_enabled",
    "torch.amp.autocast_mode._enter_autocast", "torch.amp.autocast_mode._exit_autocast",
    "torch.fx.experimental.symbolic_shapes.cast_symbool_to_symint_guardless",
})  # fmt: skip
"""Plain functions that torch's serializer writes (`_SYM_OPS`) and its verifier admits (torch/_export/verifier.py)."""

NAMESPACES = frozenset({
    "aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed", "quantization", "mkldnn", "onednn",
    "mkldnn_prepacked", "mkl", "sparse", "inductor", "inductor_prims", "rngprims",
})  # fmt: skip
"""Namespaces of torch's own operators, which only compute. Any other belongs to an extension."""

FILE_OPERATORS = frozenset({"aten.save", "aten.from_file", "aten.load"})
"""Operators that read or write a file whose name is an argument."""

HIGHER_ORDER = frozenset({
    "cond", "while_loop", "scan", "map", "map_impl", "associative_scan", "wrap", "wrap_with_set_grad_enabled",
    "wrap_with_autocast", "invoke_subgraph", "flex_attention", "flex_attention_backward", "auto_functionalized",
    "auto_functionalized_v2", "with_effects", "strict_mode", "hints_wrapper", "out_dtype", "run_const_graph",
    "tag_activation_checkpoint",
})  # fmt: skip
"""Higher-order operators that run graphs of the same file. The others may run other code."""

DUNDER_OPERATORS = frozenset(
    f"__{name}__"
    for name in (
        "and", "or", "xor", "lshift", "rshift", "iand", "ior", "ixor", "ilshift", "irshift", "contains", "getitem",
        "is", "isnot", "not",
    )
)  # fmt: skip
"""Names with two underscores on both sides that are operators. Any other such name is an attribute of Python's."""
