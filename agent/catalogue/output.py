"""Slot `output`: what is added to the chunk's output beside what q reads, on the scale of one perfect match."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class OutputMechanism(Mechanism):
    """Code that may set names; `added` is the term [B, H, C, Dv] that joins `o_inter + attn @ u_i`."""

    first_chunk: ClassVar[bool] = True
    weight: float = grid(1, 0.25, 0.5, 1, 2, 4)
    added: ClassVar[str]


class OwnValue(OutputMechanism):
    """Each position's own value added to what it reads."""

    mechanism: Literal["own_value"] = "own_value"
    added: ClassVar[str] = "{weight_times}Dk**-0.5 * v[:, :, i]"
    idea: ClassVar[str] = "own_value_skip"
    formula: ClassVar[str] = "o_t = q_t S + attn u + {weight_x}Dk^-1/2 v_t"
    why: ClassVar[str] = (
        "What the weights themselves remember gets a path out that no read of the memory drowns; "
        "a query reads its own value as if it matched its own key exactly."
    )


class OwnWrittenValue(OutputMechanism):
    """Each position's own value added to what it reads, as strongly as it is written."""

    mechanism: Literal["own_written_value"] = "own_written_value"
    added: ClassVar[str] = "{weight_times}Dk**-0.5 * v_beta[:, :, i]"
    idea: ClassVar[str] = "own_written_value_skip"
    formula: ClassVar[str] = "o_t = q_t S + attn u + {weight_x}Dk^-1/2 β_t v_t"
    why: ClassVar[str] = "A path out for the own value; what beta keeps out of the state, as blanks, says nothing here."


class OwnError(OutputMechanism):
    """Each position's own error added to what it reads."""

    mechanism: Literal["own_error"] = "own_error"
    added: ClassVar[str] = "{weight_times}Dk**-0.5 * u_i"
    idea: ClassVar[str] = "own_error_skip"
    formula: ClassVar[str] = "o_t = q_t S + (attn + {weight_x}Dk^-1/2 I) u"
    why: ClassVar[str] = "A path out for what is new at a position; silent wherever the memory predicts it already."


class PhaseEcho(OutputMechanism):
    """The own value and a fading, rotated echo of earlier values added to what is read."""

    mechanism: Literal["phase_echo"] = "phase_echo"
    fade: float = grid(0.9375, 0.875, 0.9375, 0.96875)
    added: ClassVar[str] = "{weight_times}Dk**-0.5 * echo"
    idea: ClassVar[str] = "phase_echo"
    formula: ClassVar[str] = (
        "o_t += {weight_x}Dk^-1/2 [v_t, (1 - {fade}²)^1/2 z_t],    z_t = {fade} R(θ) z_{{t-1}} + v_t (upper half of v)"
    )
    why: ClassVar[str] = (
        "A fixed linear memory beside the delta rule tells when a value came: each pair of channels turns at an "
        "angle of its own, so that a sum over the past keeps its order."
    )
    carry: ClassVar[str] = "z = q.new_zeros(B, H, 2 * (Dv // 4))  # the echo so far, turned to the frame of position 0"
    code: ClassVar[str] = """
        pairs, fade = Dv // 4, {fade}
        at = torch.arange(chunk_size, device=q.device, dtype=q.dtype)
        turn = (torch.arange(pairs, device=q.device, dtype=q.dtype) + 0.5) * (torch.pi / max(pairs, 1))
        angle = (i * chunk_size + at)[:, None] * turn  # [C, pairs]
        cos, sin = angle.cos(), angle.sin()
        own, x, y = v[:, :, i].split([Dv - 2 * pairs, pairs, pairs], -1)
        turned = torch.cat([x * cos - y * sin, x * sin + y * cos], -1)  # [B, H, C, 2 pairs]
        age = (at[:, None] - at).clamp(min=0)
        z_i = (fade**age).masked_fill(future, 0) @ turned + fade ** (at[:, None] + 1) * z[:, :, None]
        z = z_i[:, :, -1]
        x, y = ((1 - fade**2) ** 0.5 * z_i).split([pairs, pairs], -1)
        echo = torch.cat([own, x * cos + y * sin, y * cos - x * sin], -1)  # [B, H, C, Dv], turned back
    """


Outputs = OwnValue | OwnWrittenValue | OwnError | PhaseEcho
