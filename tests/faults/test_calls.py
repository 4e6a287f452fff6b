"""What no file of the project may call: what could run code that came as data, or open a port."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("vsp_envs", "agents", "training", "evaluation", "benchmarks", "examples")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml",
           "ctypes", "code", "pty", "telnetlib", "ftplib"}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "import_module", "system", "popen", "Popen",
         "run", "call", "check_output", "check_call", "getoutput", "spawnv", "execv", "startfile",
         "load_module", "exec_module", "urlopen", "urlretrieve", "extractall"}  # fmt: skip
OWNERS = {"run": "subprocess", "call": "subprocess", "compile": "", "eval": "", "exec": ""}
"""Of these names only the one of a module or a builtin (``""``) counts."""
ALLOWED = {
    "vsp_envs/tasks/__init__.py: import_module",  # the folders beside that file
    "agents/own.py: import_module",  # the module that the user names with --agent
    "vsp_envs/play/film.py: subprocess.Popen",  # ffmpeg, from a list of arguments
    "benchmarks/endpoint.py: subprocess.Popen",  # itself, from a list of arguments
    "benchmarks/loss_memory.py: subprocess.run",  # itself, once for each size
}
LOADERS = {"AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoTokenizer",
           "PeftModel", "Qwen2VLImageProcessorPil"}  # fmt: skip


def calls():
    """(file, the call's whole name, its keywords) of every call in the tree."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 80
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                keywords = {each.arg: ast.unparse(each.value) for each in node.keywords}
                yield name, ast.unparse(node.func), keywords
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None)
                for imported in [module] if module else [each.name for each in node.names]:
                    yield name, f"import {imported}", {}


def test_nothing_loads_a_pickle_or_runs_what_it_reads():
    found = set()
    for file, name, keywords in calls():
        assert name.partition("import ")[2].partition(".")[0] not in MODULES, (file, name)
        owner, _, last = name.rpartition(".")
        if last in CALLS and OWNERS.get(last, owner) == owner:
            found.add(f"{file}: {name}")
        assert keywords.get("shell", "False") == "False", (file, name)
        assert keywords.get("allow_pickle", "False") == "False", (file, name)
        if name.startswith(("torch.load", "np.load", "numpy.load")):
            assert keywords.get("weights_only") == "True" or "allow_pickle" in keywords, (
                file,
                name,
            )
    assert found <= ALLOWED, found - ALLOWED


def test_no_remote_code_is_trusted_and_weights_are_safetensors():
    for file, name, keywords in calls():
        if name.endswith(".from_pretrained"):
            assert name.removesuffix(".from_pretrained") in LOADERS, (file, name)
            if ".Auto" in f".{name}":
                assert keywords.get("trust_remote_code") == "False", (file, name)
            if "Model" in name and not name.startswith("Peft"):  # adapters are looked at before
                assert keywords.get("use_safetensors") == "True", (file, name)
        if name == "LLM":
            assert keywords.get("load_format") == "'safetensors'", (file, name)
        assert keywords.get("trust_remote_code", "False") == "False", (file, name)


def test_servers_listen_on_this_machine_alone():
    servers = []
    for file in sorted({file for file, _, _ in calls()} | {"tests/endpoint.py"}):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "0.0.0.0" not in text and '"::"' not in text, file
        for node in ast.walk(ast.parse(text)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name.rpartition(".")[2] in ("start_server", "Server", "HTTPServer", "bind", "serve",
                                           "ThreadingHTTPServer", "create_server"):  # fmt: skip
                given = ast.unparse(node)
                if given not in ("Server(url, timeout)", "serve()"):  # a client; the function below
                    assert "127.0.0.1" in given, (file, given)
                    servers.append(file)
    assert {"benchmarks/endpoint.py", "tests/endpoint.py"} <= set(servers)
