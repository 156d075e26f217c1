"""The source tutorial's pipeline, made again in our own words, with its faults left in.

It runs from a folder `chest_xray` to a test figure and raises no error. The comments name the
faults; the chapter "The tutorial on trial" puts it before the audit.
"""

# ruff: noqa: B905
import os
import warnings

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    Subset,
    WeightedRandomSampler,
)

from medclf_lite._torchvision import ensure_torchvision

ensure_torchvision()
from torchvision import transforms  # noqa: E402

data_dir = "/kaggle/input/chest-xray-pneumonia/chest_xray"  # F35


MEAN, SD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def make_transforms(size=64):
    train_transform = transforms.Compose(
        [
            transforms.Resize((size, size)),  # F09
            transforms.RandomHorizontalFlip(),  # F08
            transforms.RandomRotation(10),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, SD),
        ]
    )
    test_transform = transforms.Compose(
        [
            transforms.Resize((size, size)),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, SD),
        ]
    )
    return train_transform, test_transform


def analyze_classes(*loaders):
    rows = [loader.dataset.samples for loader in loaders]
    return [np.bincount([r[1] for r in side]) for side in rows]


def analyze_pixels(dataset, n=20):
    pixels = []
    for path, _, _ in dataset.samples[:n]:
        image = Image.open(path).convert("L")
        pixels.extend(np.asarray(image).ravel().tolist())  # F33
    return np.histogram(pixels, bins=50)


class Scans(Dataset):
    classes = ("NORMAL", "PNEUMONIA")

    def __init__(self, folder, transform=None, limit=None):
        self.transform = transform
        self.limit = limit
        self.samples = []
        for label, name in enumerate(self.classes):
            place = os.path.join(folder, name)
            if not os.path.isdir(place):
                continue
            for file in sorted(os.listdir(place)):
                if file.endswith((".jpeg", ".jpg", ".png")):  # F12
                    patient = (
                        file.split("_")[0]
                        if "_" in file
                        else file.split(".")[0]
                    )  # F02
                    self.samples.append(
                        (os.path.join(place, file), label, patient)
                    )

    def __len__(self):
        return len(self.samples[: self.limit])  # F01, with limit=100

    def __getitem__(self, i):
        path, label, patient = self.samples[i]
        image = Image.open(path).convert("RGB")  # F11
        return self.transform(image) if self.transform else image, label


def split_by_patient(folder):
    data = Scans(folder)
    patients = list(
        set(patient for _, _, patient in data.samples)
    )  # F03
    label_of_patient = {}
    for _, label, patient in data.samples:
        if patient not in label_of_patient:
            label_of_patient[patient] = label  # F04
    train_patients, val_patients = train_test_split(
        patients,
        test_size=0.2,
        random_state=42,
        stratify=[label_of_patient[p] for p in patients],
    )
    train_rows = [
        s for s in data.samples if s[2] in train_patients
    ]  # F05
    val_rows = [s for s in data.samples if s[2] in val_patients]
    return train_rows, val_rows


def make_loaders(folder, size=64, workers=4):
    train_transform, test_transform = make_transforms(size)
    proper_train_set = split_by_patient(
        os.path.join(folder, "train")
    )  # F06
    train = Scans(os.path.join(folder, "train"), train_transform)
    val = Scans(os.path.join(folder, "val"), test_transform)  # F07
    test = Scans(os.path.join(folder, "test"), test_transform)
    targets = np.array([label for _, label, _ in train.samples])
    sampler = WeightedRandomSampler(
        (1 / np.bincount(targets))[targets], len(train)
    )
    return (
        DataLoader(
            train,
            16,
            sampler=sampler,
            num_workers=workers,
            pin_memory=True,
        ),  # F38
        DataLoader(val, 16, num_workers=workers, pin_memory=True),
        DataLoader(test, 16, num_workers=workers, pin_memory=True),
    )


def make_model():
    backbone = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
    )
    for weight in backbone.parameters():
        weight.requires_grad = False  # F16
    return nn.Sequential(backbone, nn.Linear(288, 1))


def make_losses(labels):
    class_weights = torch.tensor([1.0, 2.0])  # F17
    counts = np.bincount(labels)
    weights = torch.tensor(
        len(labels) / (2 * counts), dtype=torch.float32
    )
    return nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(
        pos_weight=weights[1]
    )  # F18


def describe(epoch, loss):
    return (
        f"epoch {epoch + 1}/{num_epochs} on {device}: {loss:.4f}"  # F23
    )


num_epochs = 5
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class EarlyStopping:
    def __init__(self, patience=5):
        self.patience, self.counter, self.best_score = patience, 0, None

    def __call__(self, val_loss, model):
        score = -val_loss
        if self.best_score is None:
            self.best_score = score
        elif score < self.best_score:  # F22
            self.counter += 1
        else:
            self.best_score, self.counter = score, 0
        return self.counter >= self.patience


def train_one_epoch(model, loader, optimizer, criterion):
    model.train()
    running_loss = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels.float().unsqueeze(1))
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    return running_loss / len(loader)  # F20


def score(model, loader):
    model.eval()
    y_true, y_score = [], []
    with torch.no_grad():
        for images, labels in loader:
            probs = (
                torch.sigmoid(model(images)).cpu().squeeze().numpy()
            )  # F36
            y_score.extend(probs if probs.ndim else [probs])
            y_true.extend(labels.numpy())
    return np.array(y_true), np.array(y_score)


def fit(folder, out, epochs=5, size=64, workers=4, seed=42):
    warnings.filterwarnings("ignore")  # F13
    torch.manual_seed(seed)  # F14
    train_loader, val_loader, test_loader = make_loaders(
        folder, size, workers
    )
    analyze_classes(train_loader, val_loader, test_loader)  # F31
    model = make_model()
    criterion, weighted_criterion = make_losses(
        [s[1] for s in train_loader.dataset.samples]
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    stopper, history = EarlyStopping(), []
    for epoch in range(epochs):
        loss = train_one_epoch(
            model, train_loader, optimizer, weighted_criterion
        )  # F19
        y, p = score(model, val_loader)
        history.append(
            {
                "loss": loss,
                "val_auc": roc_auc_score(y, p),
                "val_acc": accuracy_score(y, p > 0.5),
            }
        )
        if stopper(loss, model):
            break
    torch.save(
        model.state_dict(), os.path.join(out, "best_model.pth")
    )  # F21
    return (
        model,
        (train_loader, val_loader, test_loader),
        weighted_criterion,
        history,
    )


def evaluate_on_test(model, test_loader):
    y_test, p_test = score(model, test_loader)
    thresholds = np.arange(0.1, 1.0, 0.1)
    f1_scores = [f1_score(y_test, p_test > t) for t in thresholds]
    best_threshold = thresholds[np.argmax(f1_scores)]  # F24
    figures = {
        "AUC": roc_auc_score(y_test, p_test),
        "F1": max(f1_scores),
    }  # F25, F39, F40
    return y_test, p_test, best_threshold, figures


def cross_validate(train_dataset, epochs=1, folds=3):
    labels = [label for _, label, _ in train_dataset.samples]
    skf = StratifiedKFold(folds, shuffle=True, random_state=42)  # F27
    found = []
    for fold, (train_idx, val_idx) in enumerate(
        skf.split(np.zeros(len(labels)), labels)
    ):
        train_subset = Subset(train_dataset, train_idx)
        val_subset = Subset(train_dataset, val_idx)  # F28
        model = make_model()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(epochs):
            for inputs, labels in DataLoader(
                train_subset, 16, shuffle=True
            ):  # F30
                optimizer.zero_grad()
                loss = nn.BCEWithLogitsLoss()(
                    model(inputs), labels.float().unsqueeze(1)
                )
                loss.backward()
                optimizer.step()
        y, p = score(model, DataLoader(val_subset, 16))
        found += [(i, fold, a, b) for i, a, b in zip(val_idx, y, p)]
    return found  # F29: nobody compares it with the test
