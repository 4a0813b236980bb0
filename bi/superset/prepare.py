"""Bring the metadata database of Superset up to date and import the bundle; runs in Superset's Python.

Reads {"login": {...}, "files": {path: text}, "former": [[kind, uuid]]} from stdin, writes what it
imported to the file named by the first argument: [[kind, uuid], ...]. What a former import brought
and this one does not is removed; whatever else people made stays.
"""

import json
import sys
from pathlib import Path

import yaml

KINDS = ("dashboards", "charts", "datasets")  # in the order in which they may be removed


def main() -> None:
    """Migrate, make the admin, import, remove what is gone."""
    order = json.load(sys.stdin)
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        from flask import g
        from flask_migrate import upgrade
        from superset.extensions import appbuilder, db, security_manager

        upgrade(directory=str(Path(sys.modules["superset"].__file__).parent / "migrations"))
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        g.user = admin(security_manager, order["login"])
        imported = import_files(order["files"])
        remove(db, {tuple(each) for each in order["former"]} - imported)
        Path(sys.argv[1]).write_text(json.dumps(sorted(imported)))


def admin(security_manager, login):
    """The admin user with this login's password, made if there is none."""
    name, password = login["username"], login["password"]
    user = security_manager.find_user(username=name)
    if user is None:
        role = security_manager.find_role("Admin")
        user = security_manager.add_user(
            name, "Kehu", "Admin", f"{name}@localhost", role, password=password
        )
    else:
        security_manager.reset_password(user.id, password)
    return user


def import_files(files):
    """Import the files, over what was there; return what they are as (kind, uuid)."""
    from superset.commands.exceptions import CommandInvalidError
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    try:
        ImportAssetsCommand(files).run()
    except CommandInvalidError as error:
        raise SystemExit(f"The bundle is refused: {error.normalized_messages()}") from error
    return {
        (name.split("/")[0], yaml.safe_load(text)["uuid"])
        for name, text in files.items()
        if name.startswith(KINDS)
    }


def remove(db, gone):
    """Remove what an earlier bundle brought and this one has no more."""
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    models = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable}
    for kind in KINDS:
        for uuid in (uuid for each, uuid in gone if each == kind):
            for found in db.session.query(models[kind]).filter_by(uuid=uuid):
                if kind == "datasets" and found.slices:
                    continue  # somebody's own charts stand on it
                db.session.delete(found)
    db.session.commit()


if __name__ == "__main__":
    main()
