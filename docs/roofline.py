"""Makes the tables and the picture of compile.md: python docs/roofline.py"""

from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import losses, nn, optim

model = nn.Sequential(
    nn.Linear(784, 512),
    nn.LayerNorm(512),
    nn.ReLU(),
    nn.Linear(512, 512),
    nn.LayerNorm(512),
    nn.ReLU(),
    nn.Linear(512, 10),
)
optimizer = optim.Adam(model.parameters(), lr=1e-3)


@cr.compile
def train_step(x, y):
    loss = losses.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


rng = np.random.default_rng(0)
images, labels = rng.normal(size=(128, 784)).astype(np.float32), rng.integers(0, 10, 128)
train_step(images, labels)
print(train_step.kernels, "\n")
profile = train_step.profile(images, labels)
print(profile)
Path(__file__).with_name("roofline.svg").write_text(profile.draw("A training step, 784-512-512-10, batch of 128"))
