"""The module of each public name: `kit.NAME` is imported when it is first used."""

_HOMES = {
    "auth": "NoAuth OAuth ServiceHttp UserHttp",
    "chat.conversation": "Chat",
    "chat.reply": "Reply",
    "checking": "check render",
    "client.discovery": "ainstall install",
    "client.installed": "CallResult InstalledPlugin",
    "client.signin": "SignIn",
    "connections.connect": "connect",
    "connections.connection": "Connection",
    "errors": "AuthError CaseError ChatError ConnectError DatabaseAway DatabaseBusy DatabaseError DatabaseMisfit "
    "ExpectationFailed ExportError Forbidden InstallError KitError ManifestError NotebookError OperationClash OperationError PortInUse "
    "ProjectError ServeError SettingsError SignInError SpecError TapeError UnknownHost",
    "evals.cases": "Case",
    "evals.compare": "Comparison compare",
    "evals.drafts": "cases coverage",
    "evals.evaluation": "Evaluation",
    "evals.run": "evaluate",
    "evals.tape": "Tape record",
    "hosts.findings": "Finding Findings",
    "loop": "nested",
    "manifest": "Manifest",
    "notebook.target": "load",
    "openapi.spec": "Spec",
    "plugin.app": "Plugin",
    "plugin.databases": "Database database",
    "plugin.guard": "User current_user",
    "plugin.jwt": "JWTVerifier",
    "project.export": "Export export",
    "project.folder": "Project new",
    "server.server": "Server serve",
    "server.watch": "Watch watch",
    "web.forms": "Form form",
    "web.page": "LocalChatGPT chatgpt",
}
# modules that are public themselves
MODULES = {"tunnels": "server.tunnels", "understudy": "understudy"}
HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}
