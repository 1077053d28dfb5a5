"""English words beside the names of the concepts: those the starter's tokenizer knows whole, and those it spells."""

from functools import cache

from training.worlds.concepts import CONCEPTS, UNTAUGHT, Concept
from training.worlds.nouns import plural


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


LOOKS = words(
    "red green blue yellow orange purple pink brown black white grey gray golden silver dark light bright pale "
    "striped spotted checkered dotted plain colorful colored round flat long short tall wide narrow"
)

JOINERS = words(
    "a an the and or of on in at to by with without near next beside behind under over above below between from left "
    "right top bottom front back middle leftmost rightmost topmost bottommost larger largest smaller smallest bigger "
    "biggest big small large little tiny huge first second third one two three four five six seven eight nine ten many "
    "all is are that this which not no"
)

# What a scene may show under a narrower name: prompts never call these absent.
GENERAL = words(
    "animal bird birds fruit vegetable food vehicle plant tree flower ball clock face head candle bag box toy sign"
)

# Things of which the scenes show few. `everyday_words` are those they do not show.
_EVERYDAY = words(
    "person man woman child boy girl baby hand arm leg foot eye nose ear hair finger tooth "
    "shirt jacket coat dress skirt trousers shoe boot hat cap glove scarf belt tie sock glasses helmet backpack "
    "handbag suitcase wallet purse necklace bracelet "
    "chair table sofa bed desk shelf cupboard drawer lamp mirror window door floor ceiling wall roof stairs fence gate "
    "curtain carpet pillow blanket towel sink toilet bathtub shower oven stove fridge kettle toaster microwave "
    "bottle cup glass bowl plate spoon fork knife pan pot jar can basket bucket tray napkin "
    "phone keyboard monitor television radio speaker printer tablet headphones microphone cable battery remote control "
    "pen pencil paper notebook envelope stamp map newspaper letter folder stapler ruler eraser paint brush "
    "hammer saw drill screwdriver wrench nail screw bolt rope chain ladder shovel rake axe wheel tire engine gear "
    "truck van motorcycle scooter tractor ambulance taxi helicopter ship ferry canoe submarine wagon trailer "
    "road street bridge tunnel parking bench mailbox hydrant lighthouse tower castle church barn factory shop "
    "bush grass leaf tulip branch root forest mountain hill river lake sea beach island sand rock "
    "stone snow ice rain cloud sky sun smoke water "
    "sheep goat deer moose squirrel hedgehog raccoon skunk beaver otter seal dolphin walrus zebra giraffe rhino hippo "
    "kangaroo koala gorilla donkey eagle hawk parrot swan goose pigeon sparrow crow peacock ostrich flamingo lizard "
    "crocodile dinosaur ant spider fly mosquito beetle worm scorpion shrimp lobster jellyfish starfish shell "
    "rice pasta noodles soup salad sandwich egg bacon sausage steak potato onion garlic pepper cucumber lettuce "
    "cabbage broccoli peas bean pumpkin cherry peach plum mango coconut kiwi raspberry blueberry milk juice "
    "coffee tea wine beer cookie chocolate candy honey butter jam salt sugar flour pie pancake waffle "
    "bat racket net goal kite drum piano violin trumpet flute doll puzzle dice flag tent "
    "bell crown sword shield statue painting photo poster hourglass calendar money coin credit ticket "
    "cell blood platelets nucleus tissue bone brain lung defect crack scratch hole rust dust"
)

# Words that the tokenizer must spell in pieces, for things that no scene shows.
SPELLED = words(
    "platypus armadillo harpoon chandelier windmill tambourine satellite parachute "
    "periscope wheelbarrow sombrero gargoyle trampoline xylophone zeppelin quokka yurt velociraptor "
    "umlaut spatula leukocyte erythrocyte thrombocyte pallet forklift conveyor solder capacitor transistor weed"
)


@cache
def everyday_words() -> tuple[str, ...]:
    """Words that are no part of any concept's names."""
    known = {word for concept in CONCEPTS for name in names_of(concept) for word in name.split()}
    return tuple(word for word in dict.fromkeys(_EVERYDAY) if word not in known and f"{word}s" not in known)


@cache
def absent_words() -> tuple[str, ...]:
    """Everyday words that prompts name as absent: not what scenes show, nor what a taught starter is tried on."""
    nouns = {concept.noun for concept in (*CONCEPTS, *UNTAUGHT)}
    return tuple(word for word in everyday_words() if nouns.isdisjoint((word, plural(word))))


def names_of(concept: Concept) -> tuple[str, ...]:
    """All names of a concept, also the one that training never shows."""
    return tuple(name for name in (concept.name, *concept.synonyms, concept.unseen) if name)
