"""The things that scenes are made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """One kind of thing.

    Attributes:
        name: what it is called in prompts and datasets.
        emoji: the character that the font draws it with; empty for a coloured shape.
        synonyms: other names that mean the same thing and no other concept here.
    """

    name: str
    emoji: str
    synonyms: tuple[str, ...] = ()


_ANIMALS = (
    Concept("dog", "\U0001f436", ("puppy",)),
    Concept("cat", "\U0001f431", ("kitten",)),
    Concept("mouse", "\U0001f42d"),
    Concept("rabbit", "\U0001f430", ("bunny",)),
    Concept("fox", "\U0001f98a"),
    Concept("bear", "\U0001f43b", ("brown bear",)),
    Concept("panda", "\U0001f43c"),
    Concept("tiger", "\U0001f42f"),
    Concept("lion", "\U0001f981"),
    Concept("cow", "\U0001f42e"),
    Concept("pig", "\U0001f437"),
    Concept("frog", "\U0001f438", ("toad",)),
    Concept("monkey", "\U0001f435"),
    Concept("chicken", "\U0001f414", ("hen",)),
    Concept("penguin", "\U0001f427"),
    Concept("duck", "\U0001f986"),
    Concept("owl", "\U0001f989"),
    Concept("wolf", "\U0001f43a"),
    Concept("horse", "\U0001f434"),
    Concept("bee", "\U0001f41d", ("honeybee",)),
    Concept("butterfly", "\U0001f98b"),
    Concept("snail", "\U0001f40c"),
    Concept("ladybug", "\U0001f41e", ("ladybird",)),
    Concept("turtle", "\U0001f422", ("tortoise",)),
    Concept("snake", "\U0001f40d"),
    Concept("octopus", "\U0001f419"),
    Concept("crab", "\U0001f980"),
    Concept("fish", "\U0001f420", ("tropical fish",)),
    Concept("whale", "\U0001f433"),
    Concept("shark", "\U0001f988"),
    Concept("elephant", "\U0001f418"),
    Concept("camel", "\U0001f42a"),
)

_FOOD = (
    Concept("red apple", "\U0001f34e"),
    Concept("green apple", "\U0001f34f"),
    Concept("pear", "\U0001f350"),
    Concept("orange", "\U0001f34a", ("tangerine",)),
    Concept("lemon", "\U0001f34b"),
    Concept("banana", "\U0001f34c"),
    Concept("watermelon", "\U0001f349"),
    Concept("grapes", "\U0001f347", ("bunch of grapes",)),
    Concept("strawberry", "\U0001f353"),
    Concept("pineapple", "\U0001f34d"),
    Concept("tomato", "\U0001f345"),
    Concept("carrot", "\U0001f955"),
    Concept("corn", "\U0001f33d", ("ear of corn",)),
    Concept("bread", "\U0001f35e", ("loaf of bread",)),
    Concept("cheese", "\U0001f9c0"),
    Concept("hamburger", "\U0001f354", ("burger",)),
    Concept("pizza", "\U0001f355", ("slice of pizza",)),
    Concept("hot dog", "\U0001f32d"),
    Concept("donut", "\U0001f369", ("doughnut",)),
    Concept("birthday cake", "\U0001f382", ("cake",)),
)

_OBJECTS = (
    Concept("car", "\U0001f697", ("red car",)),
    Concept("bus", "\U0001f68c"),
    Concept("bicycle", "\U0001f6b2", ("bike",)),
    Concept("airplane", "✈️", ("plane",)),
    Concept("rocket", "\U0001f680"),
    Concept("sailboat", "⛵", ("boat",)),
    Concept("train", "\U0001f682", ("locomotive",)),
    Concept("house", "\U0001f3e0"),
    Concept("soccer ball", "⚽", ("football",)),
    Concept("basketball", "\U0001f3c0"),
    Concept("guitar", "\U0001f3b8"),
    Concept("camera", "\U0001f4f7"),
    Concept("laptop", "\U0001f4bb"),
    Concept("watch", "⌚", ("wristwatch",)),
    Concept("key", "\U0001f511"),
    Concept("umbrella", "☂️"),
    Concept("gift", "\U0001f381", ("present",)),
    Concept("star", "⭐", ("yellow star",)),
    Concept("moon", "\U0001f319", ("crescent moon",)),
    Concept("traffic light", "\U0001f6a6"),
    Concept("balloon", "\U0001f388", ("red balloon",)),
    Concept("light bulb", "\U0001f4a1"),
    Concept("alarm clock", "⏰"),
    Concept("books", "\U0001f4da", ("stack of books",)),
    Concept("scissors", "✂️"),
    Concept("sunflower", "\U0001f33b"),
    Concept("cactus", "\U0001f335"),
    Concept("mushroom", "\U0001f344"),
)

CONCEPTS: tuple[Concept, ...] = _ANIMALS + _FOOD + _OBJECTS

SHAPES = ("circle", "square", "triangle", "star")
SHAPE_COLOURS = {  # far enough apart to be told apart in any light; RGB
    "red": (215, 35, 35),
    "orange": (245, 140, 25),
    "yellow": (245, 220, 40),
    "green": (35, 150, 60),
    "blue": (40, 85, 215),
    "purple": (130, 45, 160),
    "black": (25, 25, 25),
    "white": (240, 240, 240),
}
COLOURED_SHAPES = tuple(Concept(f"{colour} {shape}", "") for shape in SHAPES for colour in SHAPE_COLOURS)

UNTAUGHT: tuple[Concept, ...] = (
    Concept("koala", "\U0001f428"),
    Concept("peacock", "\U0001f99a"),
    Concept("lobster", "\U0001f99e"),
    Concept("avocado", "\U0001f951"),
    Concept("cherries", "\U0001f352"),
    Concept("pretzel", "\U0001f968"),
    Concept("anchor", "⚓"),
    Concept("bell", "\U0001f514"),
    Concept("crown", "\U0001f451"),
    Concept("drum", "\U0001f941"),
    Concept("tractor", "\U0001f69c"),
    Concept("hammer", "\U0001f528"),
)
"""Things the starter is never shown, to try on it how something new is taught; their indices follow `CONCEPTS`."""

THINGS: tuple[Concept, ...] = CONCEPTS + UNTAUGHT + COLOURED_SHAPES
"""All that can be drawn; most scenes show the concepts only."""
