"""Grounding DINO and its kin (MM-Grounding-DINO, LLMDet) through transformers, with exact class-wise scores."""

import threading
from collections.abc import Iterator, Sequence

import supervision as sv
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine import scores
from engine.captions import caption_of
from engine.detector import Caption, check_request
from engine.devices import autocast_dtype, pick_device
from engine.errors import PromptError, quoted
from engine.kept import Kept
from engine.network.switches import Switches
from engine.ontology import Category, Ontology
from engine.passes import Passes, Result, Seen
from engine.preprocessing import AnyPicture, Preprocessing
from engine.prompts import MAX_TOKENS, PackedPrompt, Prompt, Span, encode, fitting, longest_block, pack

TOP_K = 300  # pairs of query and label that the published protocols keep
_ONTOLOGIES_KEPT = 8
_ASKED_AGAIN = 0.05  # score from which on a name takes part in a second pass, whatever is kept in the end


class GroundingDetector:
    """A `Detector` over transformers' `GroundingDinoForObjectDetection` or `MMGroundingDinoForObjectDetection`.

    A picture's result does not depend on its neighbours: only pictures of one resized size share a forward
    pass, because a backbone sees the padding at a picture's border, and a prompt is never padded. On a CPU
    each picture goes alone, which makes the independence exact; on a GPU batches differ by rounding.

    Calls from several threads take turns, a forward pass at a time. The model is put in eval mode: who
    trains it calls `model.train()` again.

    Attributes:
        model: the network, on `device`.
        tokenizer: the network's own, fast.
        preprocessing: how it wants its pictures; one that is set holds from the next call on.
        name: what people call it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        preprocessing: Preprocessing,
        *,
        name: str = "detector",
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        precision: torch.dtype | None = None,
        keep_mb: int = 0,
        switches: Switches | None = None,
    ) -> None:
        """Args:
        batch_size: pictures a forward pass, or prompts where there are several; 1 on a CPU and 8 elsewhere when None.
        precision: of autocast, float32 for none; when None bfloat16 on a CUDA device that has it, else no autocast.
        keep_mb: megabytes of features of the last pictures and prompts, which then answer sooner; 0 where the
            model's weights may change.
        switches: which of several equal ways the network takes.
        """
        self._device = device if isinstance(device, torch.device) else pick_device(device)
        self.model = model.to(self._device).eval()
        self.tokenizer = tokenizer
        self.name = name
        self._batch_size = batch_size or (1 if self._device.type == "cpu" else 8)
        self._passes = Passes(
            self.model,
            preprocessing,
            self._device,
            precision=precision or autocast_dtype(self._device),
            together=self._batch_size,
            keep_bytes=keep_mb * 1_000_000,
            switches=switches,
        )
        self._packs: Kept[Ontology, list[PackedPrompt]] = Kept(_ONTOLOGIES_KEPT)
        self._lock = threading.Lock()
        self._max_tokens = min(MAX_TOKENS, int(model.config.max_text_len))
        self._block_tokens = min(self._max_tokens, int(model.config.text_config.max_position_embeddings))

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda", "mps"."""
        return str(self._device)

    @property
    def preprocessing(self) -> Preprocessing:
        return self._passes.preprocessing

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing) -> None:
        self._passes.preprocessing = preprocessing

    @property
    def resizing(self) -> Preprocessing:
        """How pictures may be resized ahead of it."""
        return self.preprocessing

    @property
    def batch_size(self) -> int:
        """Pictures that it looks at together where they are of one resized size."""
        return self._batch_size

    def look(self, images: Sequence[AnyPicture]) -> None:
        """Keep the features of pictures, as far as there is room for them."""
        check_request(images, threshold=0)
        for group in self._groups(images):
            self._see([images[index] for index in group])

    def spare_memory(self) -> None:
        """Keep no features, and take one picture and one prompt a pass from now on."""
        with self._lock:
            self._batch_size = 1
            self._passes.spare_memory()

    def detect(
        self,
        images: Sequence[AnyPicture],
        ontology: Ontology,
        *,
        threshold: float = 0.3,
        top_k: int = TOP_K,
        second_pass: bool = False,
    ) -> list[sv.Detections]:
        """The objects of each category on each picture, best first.

        Categories that do not fit into one prompt are asked for in several; the `top_k` best are taken over all. Names
        of different prompts never stood against each other, so that one may be said of a thing whose own name is in
        another prompt: a second pass asks once more for those that were found, the likeliest first, as many as fit into
        one prompt. What it says, too, stays, with the geometric mean of both scores. Published protocols know no such
        pass. No NMS is applied (`engine.doubles`).

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            ontology: what to look for; `class_id` is an index into its categories.
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture.
            second_pass: let the names that were found in several prompts stand against each other.

        Raises:
            PromptError: a category that the detector cannot read, by name.
        """
        check_request(images, threshold)
        packs = self._packed(ontology)
        phrases = [phrase for packed in packs for phrase in packed.phrases]
        twice = second_pass and len(packs) > 1
        found: list[sv.Detections | None] = [None] * len(images)
        for group in self._groups(images):
            seen = self._see([images[index] for index in group])
            parts = self._candidates(seen, packs, min(threshold, _ASKED_AGAIN) if twice else threshold, top_k)
            for row, (index, candidates) in enumerate(zip(group, parts, strict=True)):
                if twice and len(candidates.labels):
                    candidates = self._again(seen.only(row), ontology, candidates, top_k).above(threshold)
                found[index] = scores.as_detections(candidates, images[index], ontology.names, phrases)
        return [result for result in found if result is not None]

    def ground(
        self,
        images: Sequence[AnyPicture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = TOP_K,
    ) -> list[sv.Detections]:
        """The boxes of each phrase of each picture's own caption, best first.

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            captions: one a picture; of a plain sentence `engine.captions` finds the phrases.
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture, over all its phrases.

        Raises:
            PromptError: a caption longer than the detector reads, or without a phrase.
        """
        check_request(images, threshold, len(captions))
        asked = [caption if isinstance(caption, Caption) else caption_of(caption) for caption in captions]
        packs = {caption: self._caption_pack(caption) for caption in asked}
        results = []
        for image, caption in zip(images, asked, strict=True):
            (candidates,) = self._candidates(self._see([image]), [packs[caption]], threshold, top_k)
            results.append(scores.as_detections(candidates, image, caption.phrases, caption.phrases))
        return results

    def refer(
        self, images: Sequence[AnyPicture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """The one box that each picture's own expression means, or none below the threshold.

        The score is the largest probability of the expression's tokens ([CLS], [SEP] and '.' apart), as in
        the RefCOCO protocol of MM-Grounding-DINO.

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            expressions: one a picture, such as "the red car on the left"; a '.' or '?' in it is dropped.
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture, best first: more than one where expressions may mean several.

        Raises:
            PromptError: an expression longer than the detector reads, or without a word.
        """
        check_request(images, threshold, len(expressions))
        ontologies = [Ontology((Category(expression),)) for expression in expressions]
        results = []
        for image, ontology in zip(images, ontologies, strict=True):
            (packed,) = pack(ontology, self.tokenizer, self._max_tokens, self._block_tokens)
            ((logits, boxes),) = self._answers(self._see([image]), [packed.prompt])
            values = scores.expression_scores(logits[0], packed.prompt.spans[0])[:, None]  # (Q, 1)
            first = torch.zeros_like(values, dtype=torch.int64)
            best = scores.candidates(boxes[0], values, first[0], first, threshold=threshold, top_k=top_k)
            results.append(scores.as_detections(best, image, ontology.names, packed.phrases))
        return results

    def _groups(self, images: Sequence[AnyPicture]) -> Iterator[list[int]]:
        """Indices of pictures that share a forward pass: of one resized size, `batch_size` at most."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(self.preprocessing.resized_hw(*image.shape[:2]), []).append(index)
        for indices in by_size.values():
            for start in range(0, len(indices), self._batch_size):
                yield indices[start : start + self._batch_size]

    def _candidates(
        self, seen: Seen, packs: Sequence[PackedPrompt], threshold: float, top_k: int
    ) -> list[scores.Candidates]:
        """The best candidates of each picture over all prompts; phrases are counted through."""
        parts: list[list[scores.Candidates]] = [[] for _ in seen.pictures]
        first_phrase = 0
        answers = self._answers(seen, [packed.prompt for packed in packs])
        for packed, (logits, boxes) in zip(packs, answers, strict=True):
            for row, part in enumerate(parts):
                phrases = scores.phrase_scores(logits[row], packed.prompt.spans)  # (Q, P)
                if packed.pieces is not None:
                    phrases = scores.joined_scores(phrases, packed.prompt.spans, packed.pieces)
                values, chosen, labels = scores.category_scores(phrases, packed.categories)
                chosen = chosen + first_phrase
                part.append(scores.candidates(boxes[row], values, labels, chosen, threshold=threshold, top_k=top_k))
            first_phrase += len(packed.phrases)
        return [scores.merged(part, top_k) for part in parts]

    def _again(self, seen: Seen, ontology: Ontology, first: scores.Candidates, top_k: int) -> scores.Candidates:
        """What one prompt of the categories found confirms, the likeliest of them until it is full."""
        likeliest = dict.fromkeys(first.labels.tolist())  # by the best score of each
        packed = fitting(ontology, likeliest, self.tokenizer, self._max_tokens, self._block_tokens)
        (second,) = self._candidates(seen, [packed], _ASKED_AGAIN, top_k)
        return scores.confirmed(first, second)

    def _packed(self, ontology: Ontology) -> list[PackedPrompt]:
        """The prompts of an ontology; those of the last few are kept, as thousands of names take a while to read."""
        with self._lock:
            known = self._packs.get(ontology)
        if known is None:
            known = pack(ontology, self.tokenizer, self._max_tokens, self._block_tokens)
            with self._lock:
                self._packs.put(ontology, known, 1)
        return known

    def _caption_pack(self, caption: Caption) -> PackedPrompt:
        """The caption as one prompt whose categories are its phrases."""
        prompt = _caption_prompt(caption.text, caption.spans, self.tokenizer)
        if len(prompt.input_ids) > self._max_tokens or longest_block(prompt) > self._block_tokens:
            raise PromptError(
                f"Caption {quoted(caption.text)} takes {len(prompt.input_ids)} tokens; the detector reads "
                f"{self._max_tokens}, and {self._block_tokens} a sentence. Shorten it."
            )
        phrases = caption.phrases
        return PackedPrompt(prompt, phrases, tuple(range(len(phrases))), pieces=caption.owners)

    def _see(self, images: Sequence[AnyPicture]) -> Seen:
        """Pictures of one resized size, looked at once."""
        with self._lock, torch.no_grad():
            self.model.eval()
            return self._passes.see(images)

    def _answers(self, seen: Seen, prompts: Sequence[Prompt]) -> Iterator[Result]:
        """Of each prompt the logits (B, Q, T) and boxes (B, Q, 4), see `engine.passes`; a pass at a time."""
        answers = self._passes.answers(seen, prompts)
        while True:
            with self._lock, torch.no_grad():
                self.model.eval()
                answer = next(answers, None)
            if answer is None:
                return
            yield answer


def _caption_prompt(text: str, spans: Sequence[Span], tokenizer: PreTrainedTokenizerBase) -> Prompt:
    """The caption's tokens; a '.' is put at its end where there is none."""
    return encode(text if text.rstrip().endswith((".", "?")) else text + ".", spans, tokenizer)
