"""What models and whole pipelines share: writing to a folder, and pushing that to the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coprop.errors import CoPropError, OutputError
from coprop.storage.files import output_errors, remove_left
from coprop.storage.locks import WriterLock
from coprop.utils.brief import first_line
from coprop.utils.paths import AnyPath, as_path

# huggingface_hub is loaded where the hub is asked: it takes longer than the rest of the package.


class HubMixin:
    """`save_pretrained` and `push_to_hub`, of what can write itself into a folder."""

    def _write(self, folder: Path, name: str, card: dict[str, Any]) -> None:
        """Writes what `from_pretrained` reads, and a card.

        Args:
            folder: where; made if needed.
            name: what it will be called on the hub.
            card: for huggingface_hub's ``ModelCard.from_template``.
        """
        raise NotImplementedError

    def save_pretrained(
        self,
        save_directory: AnyPath,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Writes what `from_pretrained` reads, and a model card, each file whole or not at all.

        What is stopped while it replaces another model leaves that one, or none that loads. Of a
        model, model.safetensors and config.json are written. Of a pipeline, models of coprop, and
        others that were given or lie in folders, are written as they are; what was named and is
        built in or on the hub stays a name.

        Args:
            save_directory: the folder; made if needed. A README.md in it is left as it is.
            repo_id: the id on the hub; by default the folder's name.
            push_to_hub: upload it to the hub as well.
            model_card_kwargs: for huggingface_hub's ``ModelCard.from_template``.
            push_to_hub_kwargs: as for `push_to_hub`.

        Returns:
            The address of the hub's commit; None where nothing was uploaded.

        Raises:
            CoPropError: a part that cannot be saved, such as a function.
            OutputError: the folder cannot be written, or is being written by another process.
        """
        folder = as_path("save_directory", save_directory, error=OutputError)
        repo_id = folder.absolute().name if repo_id is None else repo_id
        with output_errors(folder), WriterLock.of_folder(folder):
            remove_left(folder)
            self._write(folder, repo_id, model_card_kwargs or {})
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Push with coprop.",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        allow_patterns: Sequence[str] | str | None = None,
        ignore_patterns: Sequence[str] | str | None = None,
        delete_patterns: Sequence[str] | str | None = None,
        model_card_kwargs: dict[str, Any] | None = None,
    ) -> str:
        """Uploads what `save_pretrained` writes to one repository of the hub, in one commit.

        Args:
            repo_id: such as "owner/name", or a name alone of the token's owner; made if needed.
            commit_message: of the commit.
            private: whether a repository that is made is private; None for the owner's default.
            token: of the hub; by default that of ``hf auth login``.
            branch: where to commit; None for main.
            create_pr: open a pull request with the commit.
            allow_patterns: upload only files that match one of these.
            ignore_patterns: leave out files that match one of these.
            delete_patterns: remove files from the repository that match one of these.
            model_card_kwargs: as for `save_pretrained`.

        Returns:
            The address of the commit.

        Raises:
            CoPropError: a part that cannot be saved.
            OutputError: the hub refuses, or cannot be reached.
        """
        from huggingface_hub import HfApi

        if not isinstance(repo_id, str) or not repo_id.strip():
            raise OutputError(f'repo_id must be a text such as "owner/name", got {repo_id!r}.')
        try:
            api = HfApi(token=token)
            repo_id = api.create_repo(repo_id=repo_id, private=private, exist_ok=True).repo_id
            with TemporaryDirectory() as folder:
                self._write(Path(folder), repo_id, model_card_kwargs or {})
                commit = api.upload_folder(
                    repo_id=repo_id,
                    repo_type="model",
                    folder_path=folder,
                    commit_message=commit_message,
                    revision=branch,
                    create_pr=create_pr,
                    allow_patterns=_listed(allow_patterns),
                    ignore_patterns=_listed(ignore_patterns),
                    delete_patterns=_listed(delete_patterns),
                )
        except CoPropError:
            raise
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{repo_id} cannot be pushed to the hub: {first_line(error)}. Log in with a token "
                "that may write, hf auth login, and check the name."
            ) from error
        return str(commit)


def _listed(patterns: Sequence[str] | str | None) -> list[str] | str | None:
    return patterns if patterns is None or isinstance(patterns, str) else list(patterns)
