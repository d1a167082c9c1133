"""The module of each public name: `kit.NAME` is imported when it is first used."""

_HOMES = {
    "chat.conversation": "Chat",
    "chat.reply": "Reply",
    "checking": "check render",
    "client.discovery": "ainstall install",
    "client.installed": "CallResult InstalledPlugin",
    "errors": "CaseError ChatError DatabaseBusy DatabaseError ExpectationFailed ExportError InstallError KitError "
    "ManifestError NotebookError OperationClash OperationError PortInUse ProjectError ServeError SettingsError SpecError "
    "TapeError UnknownHost",
    "evals.cases": "Case",
    "evals.compare": "Comparison compare",
    "evals.drafts": "cases coverage",
    "evals.evaluation": "Evaluation",
    "evals.run": "evaluate",
    "evals.tape": "Tape record",
    "hosts.findings": "Finding Findings",
    "loop": "nested",
    "manifest": "Manifest NoAuth OAuth ServiceHttp UserHttp",
    "notebook.loading": "load",
    "openapi.spec": "Spec",
    "plugin.app": "Plugin",
    "plugin.databases": "Database database",
    "project.export": "Export export",
    "project.folder": "Project new",
    "server.server": "Server serve",
    "server.watch": "Watch watch",
    "web.page": "LocalChatGPT chatgpt",
}
# modules that are public themselves
MODULES = {"tunnels": "server.tunnels", "understudy": "understudy"}
HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}
