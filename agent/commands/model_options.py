"""Options of the language model, which every command that asks one takes alike."""

from pathlib import Path
from typing import Annotated

import typer

from agent.proposers.llm.configuration.options import FILE_OPTIONS

_FILE = f"TOML file of options of the language model: {', '.join(FILE_OPTIONS)}. docs/llm.md explains them."
_PRICES = "TOML file of prices, which --max-usd is kept by: [models.NAME] with input and output, USD per million."

_MODEL = "Model to ask; else the only one there is. Given several times, each ask goes to one of them."
_COMMAND = (
    "Program to ask as a model: it reads the prompt on standard input and prints the reply. Several are possible."
)

ModelOption = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help=_MODEL)]
CommandOption = Annotated[list[str] | None, typer.Option("--command", metavar="CMD", help=_COMMAND)]
BaseUrlOption = Annotated[str | None, typer.Option("--base-url", help="OpenAI-compatible endpoint, as http://host/v1.")]
GgufOption = Annotated[
    Path | None, typer.Option("--gguf", metavar="PATH", help="Serve this model file here and ask it.")
]
FormOption = Annotated[
    str | None, typer.Option("--form", metavar="auto|code|structured", help="What the model writes.")
]
ContextTokensOption = Annotated[int | None, typer.Option("--context-tokens", help="Budget of a prompt.")]
ReplyTokensOption = Annotated[int | None, typer.Option("--reply-tokens", help="Limit on a reply, reasoning included.")]
MaxUsdOption = Annotated[float | None, typer.Option("--max-usd", min=0, help="Hard limit on what the model may cost.")]
PromptsOption = Annotated[
    Path | None, typer.Option("--prompts", metavar="DIR", help="Templates that override archer's.")
]
PricesOption = Annotated[Path | None, typer.Option("--prices", metavar="FILE", help=_PRICES)]
LLMFileOption = Annotated[Path | None, typer.Option("--llm", envvar="ARCHER_LLM", metavar="FILE", help=_FILE)]
